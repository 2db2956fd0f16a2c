// The type in which a product is stored: that of an activation.
alias result = scalar;
