// The type in which a product is stored: that of a partial sum.
alias result = f32;
