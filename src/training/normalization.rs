//! What images are normalized by: the ways to ask for it, and what takes precedence.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    data::{Dataset, Split, summary_on},
    error::{Error, Result},
    models::Model,
    ops::Normalize,
    parallel::{Spread, alone},
};

/// A normalization as it is asked for.
///
/// ```
/// use velograd::{ops::Normalize, training::Normalization};
/// assert_eq!("half".parse::<Normalization>().unwrap(), Normalization::Half);
/// let given: Normalization = "0.5,0.5,0.5/0.25,0.25,0.25".parse().unwrap();
/// assert_eq!(given, Normalization::Given(Normalize { mean: [0.5; 3], std: [0.25; 3] }));
/// assert!("125,125,125/60,60,60".parse::<Normalization>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Normalization {
    /// [`Normalize::HALF`].
    Half,
    /// Mean and standard deviation of the training images in use.
    Dataset,
    /// [`Normalize::IMAGENET`].
    Imagenet,
    /// These numbers.
    Given(Normalize),
}

impl Normalization {
    /// The numbers, if they can be told without images.
    pub fn numbers(self) -> Option<Normalize> {
        match self {
            Self::Half => Some(Normalize::HALF),
            Self::Imagenet => Some(Normalize::IMAGENET),
            Self::Given(normalize) => Some(normalize),
            Self::Dataset => None,
        }
    }

    /// The numbers. Those of a data set are computed from all of its training images, which are read once.
    ///
    /// # Errors
    /// [`Error::Config`] if they are to come from training images and there are none, or all pixels have the same
    /// colour; what [`Dataset::read`] returns.
    pub fn of(self, dataset: &dyn Dataset) -> Result<Normalize> {
        self.of_on(dataset, alone)
    }

    /// [`Self::of`], with the images read on as many processor cores as `spread` uses.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn of_on(self, dataset: &dyn Dataset, spread: Spread) -> Result<Normalize> {
        if let Some(numbers) = self.numbers() {
            return Ok(numbers);
        }
        if dataset.len(Split::Train) == 0 {
            let message = "mean and standard deviation of the training images: the data set has none";
            return Err(Error::config(message, "give the numbers, as in 0.4914,0.4822,0.4465/0.247,0.2435,0.2616"));
        }
        let summary = summary_on(dataset, Split::Train, spread)?;
        let normalize = Normalize::of_channels(&summary.mean, &summary.std);
        normalize.check().map_err(|_| {
            let message =
                format!("the training images are of one colour: by their numbers, {normalize}, nothing is left");
            Error::config(message, "half, imagenet or numbers of your own leave something")
        })?;
        Ok(normalize)
    }
}

impl fmt::Display for Normalization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Half => f.write_str("half"),
            Self::Dataset => f.write_str("dataset"),
            Self::Imagenet => f.write_str("imagenet"),
            Self::Given(normalize) => normalize.fmt(f),
        }
    }
}

impl FromStr for Normalization {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "half" => Ok(Self::Half),
            "dataset" => Ok(Self::Dataset),
            "imagenet" => Ok(Self::Imagenet),
            numbers if numbers.contains(['/', ',']) => numbers.parse().map(Self::Given),
            _ => {
                let message = format!("`{text}` is no normalization");
                Err(Error::config(
                    message,
                    "half, dataset, imagenet, or numbers as in 0.4914,0.4822,0.4465/0.247,0.2435,0.2616",
                ))
            }
        }
    }
}

impl From<Normalization> for String {
    fn from(normalization: Normalization) -> Self {
        normalization.to_string()
    }
}

impl TryFrom<String> for Normalization {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

/// Where the normalization of a run or an evaluation comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Origin {
    /// It was asked for.
    Asked(Normalization),
    /// The weights were trained with it.
    Weights,
    /// It is the model's default.
    Model,
}

/// What images are normalized by: what was `asked` for; or else what the weights were trained with, if that is
/// `recorded`; or else the model's default. Images are read on as many processor cores as `spread` uses.
///
/// # Errors
/// As [`Normalization::of`], or [`Error::Config`] if a normalization was asked for and the set has no images.
pub fn choose_normalize(
    asked: Option<Normalization>,
    recorded: Option<Normalize>,
    model: &Model,
    dataset: &dyn Dataset,
    spread: Spread,
) -> Result<(Normalize, Origin)> {
    if asked.is_some() {
        dataset.spec().image()?;
    }
    Ok(match (asked, recorded) {
        (Some(asked), _) => (asked.of_on(dataset, spread)?, Origin::Asked(asked)),
        (None, Some(recorded)) => (recorded, Origin::Weights),
        (None, None) => (model.normalize, Origin::Model),
    })
}
