// What a product is stored as: a part of a sum.
alias result = f32;
