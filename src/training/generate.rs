//! Continues a text by a language model, token by token, as nanoGPT's `generate` does: of a text that is longer than the network's
//! block, the network sees the end.
//!
//! A text that is shorter than the block stands at its beginning, with any tokens behind it. No place sees a later one, so they
//! change nothing, which is checked before the first token is drawn.
//!
//! A network that carries its state reads one token after the other, and so sees the whole text.

use crate::{
    data::{Batch, Tokens},
    device::Gpu,
    error::{Error, Result},
    models::{Config, Model},
    program::params::Layout,
    training::{
        evaluate::evaluator_of,
        network::{Network, Recipe},
        sampling::Sampling,
        weights::Weights,
    },
};

/// A text that a network continues.
pub struct Generator {
    network: Network,
    tokens: Tokens,
    sampling: Sampling,
    /// The end of the text, at most as long as a block.
    context: Vec<u32>,
    /// The logits behind the text, if they are known.
    ready: Option<Vec<f32>>,
    drawn: u64,
    /// Whether the network has not read anything yet.
    fresh: bool,
}

impl Generator {
    /// Begins with the tokens `prompt`, in blocks of the length that `config` has.
    ///
    /// # Errors
    /// [`Error::Config`] as [`Sampling::check`], or for a network whose places see later ones; [`Error::NotFinite`] as
    /// [`Sampling::draw`]; [`Error::Device`] if the device cannot hold the network; what `weights` returns.
    ///
    /// # Panics
    /// If the network takes images, or the prompt is empty.
    pub async fn new(
        gpu: &Gpu,
        (model, config): (&Model, &Config),
        sampling: Sampling,
        prompt: &[u32],
        weights: impl Fn(&Layout) -> Result<Weights>,
    ) -> Result<Self> {
        assert!(!prompt.is_empty(), "Generator::new: a text has no token to go on from");
        sampling.check()?;
        let carries = model.carries_state;
        let tokens = if carries { Tokens { length: 1, ..config.tokens() } } else { config.tokens() };
        let config = &config.on(tokens);
        let network = evaluator_of(gpu, (model, config), 1, Recipe::default(), weights).await?;
        let context = end_of(prompt, tokens.length).to_vec();
        let mut generator = Self { network, tokens, sampling, context, ready: None, drawn: 0, fresh: true };
        if carries {
            let (last, before) = prompt.split_last().expect("it is not empty");
            for &token in before {
                generator.feed(vec![token]).await?;
            }
            generator.context = vec![*last];
        } else if generator.context.len() < tokens.length as usize {
            let [first, last] = [generator.logits(0).await?, generator.logits(tokens.vocabulary - 1).await?];
            sampling.draw(&first, 0)?; // what is not finite equals nothing
            if first != last {
                let message =
                    format!("{} cannot continue a text: what it says at a place depends on later ones", model.name);
                return Err(Error::config(message, "a causal network can, such as gpt"));
            }
            generator.ready = Some(first);
        }
        Ok(generator)
    }

    /// Draws the next token, which then belongs to the text.
    ///
    /// # Errors
    /// [`Error::NotFinite`] as [`Sampling::draw`]; [`Error::Device`] on a fault.
    pub async fn next(&mut self) -> Result<u32> {
        let logits = match self.ready.take() {
            Some(logits) => logits,
            None => self.logits(0).await?,
        };
        let token = self.sampling.draw(&logits, self.drawn)?;
        self.drawn += 1;
        self.context.push(token);
        let over = self.context.len().saturating_sub(self.tokens.length as usize);
        self.context.drain(..over);
        Ok(token)
    }

    /// The logits of the token behind the text, in a block that is filled up with `filler`.
    async fn logits(&mut self, filler: u32) -> Result<Vec<f32>> {
        let (length, last) = (self.tokens.length as usize, self.context.len() - 1);
        let mut block = self.context.clone();
        block.resize(length, filler);
        self.feed(block).await?;
        self.network.logits_at(1, 0, last).await
    }

    /// Lets the network read a block. One that carries its state goes on from the block before.
    async fn feed(&mut self, block: Vec<u32>) -> Result<()> {
        let targets = vec![0; block.len()];
        let inputs = block.into_iter().flat_map(u32::to_le_bytes).collect();
        let first = std::mem::take(&mut self.fresh) || !self.network.carries_state();
        self.network.evaluate(&Batch { inputs, targets, indices: vec![0] }, first)?;
        self.network.drain().await?;
        Ok(())
    }
}

/// The last tokens of a text, as many as a block has.
fn end_of(text: &[u32], length: u32) -> &[u32] {
    &text[text.len().saturating_sub(length as usize)..]
}
