//! The names and layouts of GPT-2's tensors, where Hugging Face's files differ from nanoGPT's.
//!
//! Published files leave out the prefix `transformer.`, the weights of linear layers in blocks are those of `Conv1D`,
//! `[inputs, outputs]`, and older files hold the causal mask of each block.

/// The embedding of tokens.
pub const WORDS: &str = "transformer.wte.weight";

/// The last layer, which is often the embedding of tokens once more.
pub const HEAD: &str = "lm_head.weight";

/// The weight by whose shape the two layouts are told apart.
const FIRST: &str = "transformer.h.0.attn.c_attn.weight";

const PREFIX: &str = "transformer.";

/// What a block has as `Conv1D`.
const CONV1D: [&str; 4] = ["attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight"];

/// What a block has that is no parameter: the mask, and the value that it replaces products by.
const MASKS: [&str; 2] = ["attn.bias", "attn.masked_bias"];

/// What is left of a tensor's name behind that of its block.
fn in_block(name: &str) -> Option<&str> {
    let (block, rest) = name.strip_prefix("transformer.h.")?.split_once('.')?;
    block.bytes().all(|byte| byte.is_ascii_digit()).then_some(rest)
}

/// Whether a weight is stored as `[inputs, outputs]`.
pub fn is_conv1d(name: &str) -> bool {
    in_block(name).is_some_and(|rest| CONV1D.contains(&rest))
}

/// Whether a tensor is a causal mask.
pub fn is_mask(name: &str) -> bool {
    in_block(name).is_some_and(|rest| MASKS.contains(&rest))
}

/// The prefix that the names of a file lack, whose names `has` knows.
pub fn missing_prefix(has: impl Fn(&str) -> bool) -> Option<&'static str> {
    (has(&WORDS[PREFIX.len()..]) && !has(WORDS)).then_some(PREFIX)
}

/// Whether a file's weights are those of `Conv1D`: queries, keys and values are three times as many as the channels, so that the
/// shape of their weight tells its order.
pub fn has_conv1d<'a>(shape: impl Fn(&str) -> Option<&'a [usize]>) -> bool {
    matches!(shape(FIRST), Some([inputs, outputs]) if inputs.checked_mul(3) == Some(*outputs))
}

/// A matrix of so many columns, row by row, as its transpose.
pub fn transposed(values: &[f32], columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|column| values[column..].iter().step_by(columns).copied()).collect()
}

/// The prefix of what BERT's files have for the prediction of the next sentence, and its pooled token.
const OF_SENTENCES: [&str; 2] = ["bert.pooler.", "cls.seq_relationship."];

/// What BERT's files have that is no parameter of its own: the places' numbers, and the last layer, which is the embedding.
const TWINS: [&str; 2] = ["bert.embeddings.position_ids", "cls.predictions.decoder.weight"];

/// Whether a tensor of BERT's files is none of the network that fills in tokens, or is there under another name too.
pub fn is_beside_bert(name: &str) -> bool {
    OF_SENTENCES.iter().any(|prefix| name.starts_with(prefix)) || TWINS.contains(&name)
}

/// The present name of a tensor of BERT, whose first files have those of TensorFlow, and some have the bias of the last layer under
/// that layer's name.
pub fn of_bert(name: &str) -> Option<String> {
    if name == "cls.predictions.decoder.bias" {
        return Some("cls.predictions.bias".into());
    }
    let layer = |old: &str| name.strip_suffix(old).filter(|layer| layer.ends_with(".LayerNorm."));
    let renamed = layer("gamma").map(|layer| format!("{layer}weight"));
    renamed.or_else(|| layer("beta").map(|layer| format!("{layer}bias")))
}

#[cfg(test)]
mod tests {
    use super::{has_conv1d, is_conv1d, is_mask, missing_prefix, transposed};

    #[test]
    fn a_matrix_is_transposed() {
        assert_eq!(transposed(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    }

    #[test]
    fn names_are_told_apart() {
        assert!(is_conv1d("transformer.h.11.mlp.c_fc.weight") && !is_conv1d("transformer.h.11.mlp.c_fc.bias"));
        assert!(!is_conv1d("transformer.h.x.mlp.c_fc.weight") && !is_conv1d("h.0.mlp.c_fc.weight"));
        assert!(is_mask("transformer.h.0.attn.bias") && !is_mask("transformer.h.0.attn.c_attn.bias"));
        let bare = ["wte.weight", "wpe.weight"];
        assert_eq!(missing_prefix(|name| bare.contains(&name)), Some("transformer."));
        assert_eq!(missing_prefix(|name| name == "transformer.wte.weight"), None);
        let of = |dims: &'static [usize]| has_conv1d(|_| Some(dims));
        assert!(of(&[4, 12]) && !of(&[12, 4]) && !of(&[4, 4]) && !of(&[usize::MAX, 4]) && !has_conv1d(|_| None));
    }
}
