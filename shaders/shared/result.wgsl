// What a product is stored as: an activation.
alias result = scalar;
