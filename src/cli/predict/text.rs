//! A text that a language model continues, shown as it is drawn.

use std::{
    io::{Read as _, stdin},
    path::Path,
    process::ExitCode,
};

use pollster::block_on;
use serde_json::json;

use super::{Arguments, OfText};
use crate::{
    cli::{
        json_line, live, open_device,
        print::{self, remark},
    },
    data::{Decoder, Tokens, Vocabulary, vocabulary::UNK},
    error::{Error, Result},
    host::{
        files::{TEXT_LIMIT, read_text},
        pretrained::{Head, Pretrained},
    },
    training::{generate::Generator, sampling::Sampling},
};

/// The tokens that are drawn.
const LENGTH: u64 = 200;

pub(super) fn run(arguments: &Arguments, path: &Path, weights: &Pretrained) -> Result<ExitCode> {
    let flags = &arguments.of_text;
    let count = flags.length.unwrap_or(LENGTH);
    if count == 0 {
        return Err(Error::setting("length", 0, "at least 1"));
    }
    let (temperature, seed) = (flags.temperature.unwrap_or(1.0), flags.seed.unwrap_or(0));
    let sampling = Sampling { temperature, top_k: flags.top_k, seed };
    sampling.check()?;
    let vocabulary = vocabulary(weights);
    let prompt = flags.text()?;
    if let Ok((_, misses @ 1..)) = vocabulary.cut(&prompt) {
        remark(&format!("{misses} word(s) of the prompt are not in the vocabulary and count as {UNK}"));
    }
    let tokens = encode(&vocabulary, &prompt, if flags.prompt_file.is_some() { "prompt_file" } else { "prompt" })?;
    let shown = if prompt.is_empty() { &[][..] } else { &tokens };

    let block = weights.model.block(&weights.config.settings).expect("a network of tokens");
    if tokens.len() > block as usize && !weights.model.carries_state {
        remark(&format!("the network sees the last {block} of the {} tokens of the prompt", tokens.len()));
    }
    // A block that the text does not fill would take time for nothing.
    let length = (tokens.len() as u64).saturating_add(count - 1).min(block.into()) as u32;
    let config = weights.config.on(Tokens { length, vocabulary: weights.config.classes });
    let gpu = open_device(arguments.device.device.as_deref())?;
    let load = |layout: &_| weights.weights(layout, Head::Load, 0);
    let ready = || block_on(Generator::new(&gpu, (weights.model, &config), sampling, &tokens, load));
    let mut generator = live::during("preparing the network", ready)?;
    let words = weights.model.words(weights.model.name, &weights.config);
    remark(&format!("{words}, of {}, on {}", path.display(), gpu.info.name));

    let mut decoder = Decoder::new(&vocabulary);
    let begins: String = shown.iter().map(|&token| decoder.push(token)).collect();
    let (mut drawn, mut text) = (vec![], String::new());
    if !arguments.json && !print::part(&begins) {
        return Ok(ExitCode::SUCCESS);
    }
    for nth in 0..count {
        let token = block_on(generator.next()).inspect_err(|_| {
            if !arguments.json {
                print::part("\n"); // the error has a line of its own
            }
        })?;
        let piece = decoder.push(token);
        if arguments.json {
            live::show(format!("drawing: {} of {count} tokens", nth + 1));
            drawn.push(token);
            text += &piece;
        } else if !print::part(&piece) {
            // Nobody reads on.
            return Ok(ExitCode::SUCCESS);
        }
    }
    live::clear();
    let rest = decoder.finish();
    if arguments.json {
        text += &rest;
        json_line(&json!({
            "model": weights.model.name,
            "weights": path.display().to_string(),
            "prompt": prompt,
            "text": text,
            "tokens": drawn,
            "temperature": temperature,
            "top_k": flags.top_k,
            "seed": seed,
        }));
    } else {
        print::part(&(rest + "\n"));
    }
    Ok(ExitCode::SUCCESS)
}

impl OfText {
    /// The text that is continued.
    fn text(&self) -> Result<String> {
        match (&self.prompt, &self.prompt_file) {
            (Some(prompt), _) => Ok(prompt.clone()),
            (None, None) => Ok(String::new()),
            (None, Some(file)) if file.as_os_str() == "-" => {
                let (mut bytes, path) = (vec![], Path::new("standard input"));
                stdin().take(TEXT_LIMIT + 1).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
                if bytes.len() as u64 > TEXT_LIMIT {
                    return Err(Error::data(path, format!("at most {TEXT_LIMIT} bytes"), "more", ""));
                }
                String::from_utf8(bytes).map_err(|e| Error::data(path, "text in UTF-8", e.utf8_error().to_string(), ""))
            }
            (None, Some(file)) => read_text(file, TEXT_LIMIT),
        }
    }
}

/// The vocabulary that the file of the weights states, if that tells how text is cut into its entries; otherwise tokens are called by
/// their numbers.
fn vocabulary(weights: &Pretrained) -> Vocabulary {
    weights.vocabulary().filter(Vocabulary::cuts_text).unwrap_or_else(|| {
        remark(
            "the weights do not say how text is cut into tokens: text is the tokens' numbers, with spaces between them",
        );
        Vocabulary::numbers(weights.config.classes as usize)
    })
}

/// The tokens of the prompt, which the flag `setting` gave. An empty one begins behind a line end.
fn encode(vocabulary: &Vocabulary, prompt: &str, setting: &'static str) -> Result<Vec<u32>> {
    let of_text =
        |text: &str| -> Result<Vec<u32>> { Ok(vocabulary.encode(text)?.into_iter().map(u32::from).collect()) };
    if prompt.is_empty() || vocabulary.is_numbers() && prompt.trim().is_empty() {
        let begun = of_text("\n").map_err(|_| {
            let message = "an empty prompt begins behind a line end, which the vocabulary does not have";
            Error::about(setting, message, "'prompt' says how the text begins")
        })?;
        remark("the prompt is empty: the text begins behind a line end, which is not shown");
        return Ok(begun);
    }
    // Numbers go on in the line of the prompt, whose end a file has.
    let prompt = if vocabulary.is_numbers() { prompt.trim_end() } else { prompt };
    let tokens = of_text(prompt).map_err(|error| match error {
        Error::Config { message, hint, .. } => {
            let numbers = "give the numbers of tokens, as in 15 2 7";
            Error::about(
                setting,
                format!("'{setting}': {message}"),
                if vocabulary.is_numbers() { numbers } else { &hint },
            )
        }
        other => other,
    })?;
    if tokens.is_empty() {
        return Err(Error::about(setting, format!("'{setting}' has no token in it"), "white space alone is no word"));
    }
    Ok(tokens)
}
