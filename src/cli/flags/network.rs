//! The network and its batches.

use clap::{Args, ValueEnum};
use pollster::block_on;
use serde::{Deserialize, Serialize};

use super::{given, values};
use crate::{
    check::cooperative::{self, Verdict},
    cli::print::remark,
    data::Input,
    device::Gpu,
    error::Result,
    models::{self, Config, Model},
    program::target::{Precision, Target},
    settings::Settings,
};

/// The network.
#[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[command(next_help_heading = "Network")]
pub struct NetworkFlags {
    /// The network: a name of `velograd models` [default: resnet18]
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// A setting of the network, as often as needed; `velograd models NAME` lists them
    #[arg(long, value_name = "KEY=VALUE", value_parser = values::key_value)]
    #[serde(with = "values::pairs")]
    pub model_set: Vec<(String, String)>,
    /// First layers of a ResNet: short for --model-set stem=STEM [default: imagenet]
    #[arg(long, value_enum, ignore_case = true)]
    pub stem: Option<StemFlag>,
    /// Channels of the first stage: short for --model-set width=CHANNELS [default: 64; fewer with --preset quick]
    #[arg(long, value_name = "CHANNELS")]
    pub width: Option<u32>,
}

impl NetworkFlags {
    pub fn defaults() -> Self {
        Self { model: Some("resnet18".into()), ..Self::default() }
    }

    /// The network for such samples and so many classes.
    ///
    /// # Errors
    /// [`Error::Config`](crate::error::Error::Config) for an unknown model or setting, or a shape that the network cannot have.
    pub fn config(&self, input: Input, classes: u32) -> Result<(&'static Model, Config)> {
        let model = self.model()?;
        Ok((model, model.config(input, classes, &self.model_set)?))
    }

    /// The settings of the network, the defaults included, which are known before its images are.
    ///
    /// # Errors
    /// [`Error::Config`](crate::error::Error::Config) for an unknown model or setting, or a value out of its range.
    pub fn settings(&self) -> Result<Settings> {
        self.model()?.parse(&self.model_set)
    }

    /// The model.
    ///
    /// # Errors
    /// [`Error::Config`](crate::error::Error::Config) for an unknown name.
    pub fn model(&self) -> Result<&'static Model> {
        models::find(&given(self.model.clone())).map_err(|error| error.of_setting("model"))
    }
}

/// A batch.
#[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[command(next_help_heading = "Schedule")]
pub struct BatchFlags {
    /// Images of a batch [default: 128; 64 in quick experiments]
    #[arg(long, short, value_name = "IMAGES")]
    pub batch_size: Option<u32>,
}

impl BatchFlags {
    pub fn defaults() -> Self {
        Self { batch_size: Some(128) }
    }
}

/// What numbers are stored as.
#[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[command(next_help_heading = "Device")]
pub struct PrecisionFlags {
    /// What activations and their gradients are stored as [default: f32]
    #[arg(long, value_enum, ignore_case = true)]
    pub precision: Option<PrecisionFlag>,
}

impl PrecisionFlags {
    pub fn defaults() -> Self {
        Self { precision: Some(PrecisionFlag::F32) }
    }
}

/// `--stem`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StemFlag {
    /// 7x7 convolution of stride 2 and max-pool
    Imagenet,
    /// 3x3 convolution of stride 1
    Cifar,
}

/// `--precision`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PrecisionFlag {
    /// Activations and their gradients as f32
    F32,
    /// As f16, with a dynamic loss scale; sums, weights and the optimizer stay f32
    Mixed,
    /// mixed where the device's shaders have f16, else f32
    Auto,
}

impl PrecisionFlag {
    /// The precision on this device and the target that computes in it. For `auto`, and if cooperative matrices were
    /// requested, a line states the choice.
    ///
    /// # Errors
    /// [`Error::Device`](crate::error::Error::Device) if the device does not support what was asked for.
    pub fn on(self, gpu: &Gpu) -> Result<(Precision, Target)> {
        let precision = match self {
            Self::F32 => Precision::F32,
            Self::Mixed => Precision::Mixed,
            Self::Auto => {
                let precision = if gpu.features.f16 { Precision::Mixed } else { Precision::F32 };
                let why = if gpu.features.f16 { "have f16" } else { "have no f16" };
                remark(&format!("precision {} (the shaders of {} {why})", precision.name(), gpu.info.name));
                precision
            }
        };
        gpu.supports(precision)?;
        let mut target = gpu.target.clone();
        if precision == Precision::Mixed && gpu.matrix.is_some() {
            let verdict = match block_on(cooperative::judge(gpu, gpu.matrix))? {
                Verdict::Absent => return Ok((precision, target)),
                Verdict::Wrong => "compute wrongly: not used",
                Verdict::Slow => "are no faster: not used",
                Verdict::Taken => {
                    target.matrix = gpu.matrix;
                    "are used for products"
                }
            };
            remark(&format!("cooperative matrices of {} {verdict}", gpu.info.name));
        }
        Ok((precision, target))
    }
}
