//! Draws the token that goes on a text from the logits of a language model, on the host and in f64.

use crate::{
    error::{Error, Result},
    random::Rng,
};

/// The first word of the key for a draw, which no other use of a seed has.
const KEY: u64 = 0x7361_6d70_6c65_0000;

/// How tokens are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// What logits are divided by: below 1 likely tokens become likelier, and at 0 the likeliest is always taken.
    pub temperature: f64,
    /// How many of the likeliest tokens can be drawn, as in nanoGPT: those whose logit is not below the k-th largest; all if `None`.
    pub top_k: Option<u32>,
    /// The draws are a function of the seed and of their number.
    pub seed: u64,
}

impl Sampling {
    /// Refuses what is no way to draw.
    ///
    /// # Errors
    /// [`Error::Config`] if the temperature is below 0 or not finite, or if no token is left to draw.
    pub fn check(&self) -> Result<()> {
        if self.temperature < 0.0 || !self.temperature.is_finite() {
            let expected = "at least 0, which takes the likeliest token; 1 draws as the network has learned";
            return Err(Error::setting("temperature", self.temperature, expected));
        }
        if self.top_k == Some(0) {
            return Err(Error::setting("top_k", 0, "at least 1"));
        }
        Ok(())
    }

    /// The token drawn as the `nth` of a text by the logits of all tokens. Of equally likely ones temperature 0 takes the first.
    ///
    /// # Errors
    /// [`Error::NotFinite`] if a logit is not finite.
    ///
    /// # Panics
    /// If there are no logits.
    pub fn draw(&self, logits: &[f32], nth: u64) -> Result<u32> {
        if let Some(wrong) = logits.iter().find(|logit| !logit.is_finite()) {
            let message = format!("the network has the logit {wrong} for a token");
            return Err(Error::NotFinite { message, hint: "its weights are too large for f32".into() });
        }
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        if self.temperature == 0.0 {
            return Ok(logits.iter().position(|&logit| logit == largest).expect("there are tokens") as u32);
        }
        let least = self.least(logits);
        let mut shares = probabilities(logits, self.temperature);
        shares.iter_mut().zip(logits).filter(|(_, logit)| **logit < least).for_each(|(share, _)| *share = 0.0);
        let mut left = Rng::keyed(self.seed, &[KEY, nth]).uniform() * shares.iter().sum::<f64>();
        let mut last = 0;
        for (token, &share) in shares.iter().enumerate().filter(|(_, share)| **share > 0.0) {
            last = token;
            if left < share {
                break;
            }
            left -= share;
        }
        Ok(last as u32)
    }

    /// The least logit of a token that can be drawn.
    fn least(&self, logits: &[f32]) -> f32 {
        match self.top_k.map(|k| k as usize).filter(|k| (1..logits.len()).contains(k)) {
            None => f32::NEG_INFINITY,
            Some(k) => *logits.to_vec().select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a)).1,
        }
    }
}

/// The softmax of finite `logits / temperature`, for a temperature above 0.
pub fn probabilities(logits: &[f32], temperature: f64) -> Vec<f64> {
    let largest = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let powers: Vec<f64> = logits.iter().map(|&logit| ((f64::from(logit) - largest) / temperature).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGITS: [f32; 5] = [0.5, 2.0, -1.0, 1.25, 0.0];

    fn sampling(temperature: f64, top_k: Option<u32>) -> Sampling {
        Sampling { temperature, top_k, seed: 7 }
    }

    /// How often each token is drawn.
    fn counts(sampling: Sampling, logits: &[f32], draws: u64) -> Vec<f64> {
        let mut counts = vec![0.0; logits.len()];
        (0..draws).for_each(|nth| counts[sampling.draw(logits, nth).unwrap() as usize] += 1.0);
        counts
    }

    /// The sum of squares of differences between counts and what is expected of them.
    fn chi_square(counts: &[f64], expected: &[f64]) -> f64 {
        let draws: f64 = counts.iter().sum();
        counts.iter().zip(expected).map(|(count, share)| (count - draws * share).powi(2) / (draws * share)).sum()
    }

    /// Shares of the drawn tokens are the probabilities, which are written out here: `exp(logit / temperature)` of those that are
    /// kept, divided by the sum. A correct generator exceeds the bounds, for four degrees of freedom and for two, once in a
    /// thousand seeds.
    #[test]
    fn tokens_are_drawn_by_their_probabilities() {
        for temperature in [0.5, 1.0, 3.0] {
            let powers = LOGITS.map(|logit| (f64::from(logit) / temperature).exp());
            let all: Vec<f64> = powers.iter().map(|power| power / powers.iter().sum::<f64>()).collect();
            let found = counts(sampling(temperature, None), &LOGITS, 20_000);
            assert!(chi_square(&found, &all) < 18.47, "{temperature}: {found:?} {all:?}");
            for (found, expected) in probabilities(&LOGITS, temperature).iter().zip(&all) {
                assert!((found - expected).abs() < 1e-14, "{found} {expected}");
            }
            // Tokens 1, 3 and 0 have the largest logits.
            let kept = [powers[0], powers[1], powers[3]].map(|power| power / (powers[0] + powers[1] + powers[3]));
            let found = counts(sampling(temperature, Some(3)), &LOGITS, 20_000);
            assert_eq!((found[2], found[4]), (0.0, 0.0));
            assert!(chi_square(&[found[0], found[1], found[3]], &kept) < 13.82, "{temperature}: {found:?} {kept:?}");
        }
        // The check notices shares that are a little off.
        let off = counts(sampling(1.1, None), &LOGITS, 20_000);
        assert!(chi_square(&off, &probabilities(&LOGITS, 1.0)) > 18.47);
    }

    #[test]
    fn the_likeliest_token_is_taken_at_temperature_0() {
        for (temperature, top_k) in
            [(0.0, None), (0.0, Some(2)), (1e-300, None), (f64::MIN_POSITIVE / 4.0, None), (9.0, Some(1))]
        {
            assert_eq!(counts(sampling(temperature, top_k), &LOGITS, 50)[1], 50.0, "{temperature} {top_k:?}");
        }
        assert_eq!(sampling(0.0, None).draw(&[1.0, 3.0, 3.0], 0).unwrap(), 1, "the first of equal ones");
        // Far below the largest, and far apart: neither overflows.
        assert_eq!(sampling(1.0, None).draw(&[-3e38, 3e38], 1).unwrap(), 1);
        let found = counts(sampling(1e300, None), &LOGITS, 20_000);
        assert!(chi_square(&found, &[0.2; 5]) < 18.47, "all alike where it is hot: {found:?}");
    }

    /// As nanoGPT, which leaves out what is below the k-th largest.
    #[test]
    fn tokens_as_likely_as_the_last_are_kept() {
        let found = counts(sampling(1.0, Some(2)), &[0.0, 1.0, 0.0, -1.0], 2_000);
        assert!(found[0] > 0.0 && found[2] > 0.0 && found[3] == 0.0, "{found:?}");
        let all = |top_k| counts(sampling(1.0, top_k), &LOGITS, 200);
        assert_eq!(all(Some(5)), all(None));
        assert_eq!(all(Some(u32::MAX)), all(None));
    }

    #[test]
    fn a_seed_repeats_its_draws() {
        let drawn = |seed| -> Vec<u32> {
            let sampling = Sampling { seed, ..sampling(1.0, None) };
            (0..40).map(|nth| sampling.draw(&LOGITS, nth).unwrap()).collect()
        };
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
    }

    #[test]
    fn what_is_no_way_to_draw_is_refused() {
        for temperature in [-0.5, f64::NAN, f64::INFINITY] {
            let error = sampling(temperature, None).check().unwrap_err().to_string();
            assert!(error.contains("'temperature'") && error.contains("at least 0"), "{error}");
        }
        assert!(sampling(0.0, Some(1)).check().is_ok());
        let error = sampling(1.0, Some(0)).check().unwrap_err().to_string();
        assert!(error.contains("'top_k' is 0"), "{error}");
        for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for temperature in [0.0, 1.0] {
                let drawn = sampling(temperature, None).draw(&[0.0, wrong], 0);
                assert!(matches!(drawn, Err(Error::NotFinite { .. })), "{drawn:?}");
            }
        }
    }
}
