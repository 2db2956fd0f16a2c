//! How an epoch is cut into batches and updates, and what becomes of the images that do not fill an update.

use std::{fmt, str::FromStr};

use crate::error::{Error, Result, suggest};

/// What becomes of an epoch's images that do not fill an update of `accumulate` batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Remainder {
    /// They make a smaller update, which takes the mean over its own images. Nothing is dropped or carried over.
    #[default]
    Step,
    /// They are not trained on in this epoch. The next epoch has another order, so other images are left out then.
    Drop,
    /// Their gradient is added to that of the next epoch's first update, as in a loop that calls `backward` on each
    /// batch's mean loss divided by `accumulate`, and `step` and `zero_grad` after every `accumulate`-th batch of an
    /// epoch. The VeloGrad notebook has such a loop. All batches then have the same weight, even if the last is
    /// smaller.
    Carry,
}

impl Remainder {
    const ALL: [Self; 3] = [Self::Step, Self::Drop, Self::Carry];

    /// Its name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Drop => "drop",
            Self::Carry => "carry",
        }
    }
}

impl fmt::Display for Remainder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Remainder {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let names = Self::ALL.map(Self::name);
        Self::ALL.into_iter().find(|remainder| remainder.name() == text).ok_or_else(|| {
            Error::config(format!("there is no way `{text}` to treat a remainder"), suggest::hint(text, &names))
        })
    }
}

/// An epoch cut into batches and updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Images in the training set.
    pub images: usize,
    /// Images in a batch.
    pub batch: usize,
    /// Batches in an update.
    pub accumulate: usize,
    /// What becomes of the images that do not fill an update.
    pub remainder: Remainder,
}

/// A batch of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Whether it is the first batch of an update, or of those that are carried over.
    pub begins: bool,
    /// Whether it is the last batch of an update.
    pub ends: bool,
    /// Whether its gradient is carried over to the next epoch.
    pub carried: bool,
    /// What the sum of gradients over its images is divided by.
    pub divisor: u32,
}

impl Cut {
    fn group(&self) -> usize {
        self.batch.saturating_mul(self.accumulate)
    }

    /// The number of updates in an epoch.
    pub fn updates(&self) -> usize {
        match self.remainder {
            Remainder::Step => self.images.div_ceil(self.group()),
            Remainder::Drop => self.images / self.group(),
            Remainder::Carry => self.images.div_ceil(self.batch) / self.accumulate,
        }
    }

    /// The number of images that are trained on in an epoch.
    pub fn trained(&self) -> usize {
        match self.remainder {
            Remainder::Step | Remainder::Carry => self.images,
            Remainder::Drop => self.updates() * self.group(),
        }
    }

    /// The number of batches in an epoch.
    pub fn batches(&self) -> usize {
        self.trained().div_ceil(self.batch)
    }

    /// The batch of an epoch with this index and this many images.
    pub fn part(&self, index: usize, images: usize) -> Part {
        let carried = self.remainder == Remainder::Carry && index >= self.updates() * self.accumulate;
        let full = (index + 1).is_multiple_of(self.accumulate);
        let divisor = match self.remainder {
            Remainder::Step => self.group().min(self.images - index / self.accumulate * self.group()),
            Remainder::Drop => self.group(),
            Remainder::Carry => images.saturating_mul(self.accumulate),
        };
        Part {
            begins: index.is_multiple_of(self.accumulate),
            ends: !carried && (full || index + 1 == self.batches()),
            carried,
            divisor: u32::try_from(divisor).unwrap_or(u32::MAX),
        }
    }

    /// Refuses an epoch that has no update.
    ///
    /// # Errors
    /// [`Error::Config`] with the images of an update.
    pub fn check(&self) -> Result<()> {
        let Self { images, batch, accumulate, remainder } = self;
        if self.updates() > 0 {
            return Ok(());
        }
        let message = format!(
            "'remainder' {}: {images} training images do not fill an update of {accumulate} batches of {batch}",
            remainder.name()
        );
        Err(Error::about("remainder", message, "smaller batches, fewer of them to an update, or 'remainder' step"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Cut, Part, Remainder};

    /// The whole epoch as (begins, ends, carried, divisor).
    fn parts(cut: &Cut) -> Vec<(bool, bool, bool, u32)> {
        let images = |index: usize| cut.batch.min(cut.trained() - index * cut.batch);
        let part = |index| cut.part(index, images(index));
        (0..cut.batches())
            .map(part)
            .map(|Part { begins, ends, carried, divisor }| (begins, ends, carried, divisor))
            .collect()
    }

    const fn cut(images: usize, accumulate: usize, remainder: Remainder) -> Cut {
        Cut { images, batch: 4, accumulate, remainder }
    }

    #[test]
    fn an_epoch_of_ten_images_in_batches_of_four() {
        use Remainder::{Carry, Drop, Step};
        let [first, last, alone] = [(true, false), (false, true), (true, true)];
        let part = |(begins, ends): (bool, bool), divisor| (begins, ends, false, divisor);
        assert_eq!(parts(&cut(10, 2, Step)), [part(first, 8), part(last, 8), part(alone, 2)]);
        assert_eq!(parts(&cut(10, 2, Drop)), [part(first, 8), part(last, 8)]);
        assert_eq!(parts(&cut(10, 2, Carry)), [part(first, 8), part(last, 8), (true, false, true, 4)]);
        // Three batches in an update: the last one is smaller, and weighs as much as the others where all batches weigh
        // the same.
        let middle = (false, false);
        assert_eq!(parts(&cut(10, 3, Step)), [part(first, 10), part(middle, 10), part(last, 10)]);
        assert_eq!(parts(&cut(10, 3, Carry)), [part(first, 12), part(middle, 12), part(last, 6)]);
        // One batch in an update: nothing is carried over, and only `drop` leaves out the smaller one.
        for remainder in [Step, Carry] {
            assert_eq!(parts(&cut(10, 1, remainder)), [part(alone, 4), part(alone, 4), part(alone, 2)]);
        }
        assert_eq!(parts(&cut(10, 1, Drop)), [part(alone, 4), part(alone, 4)]);
        // All batches and updates are full.
        for remainder in [Step, Drop, Carry] {
            assert_eq!(parts(&cut(8, 2, remainder)), [part(first, 8), part(last, 8)]);
        }
    }

    /// CIFAR-10 as the VeloGrad paper trains on it: 391 batches of 128, two to an update.
    #[test]
    fn the_published_epoch() {
        let updates = |remainder| Cut { images: 50_000, batch: 128, accumulate: 2, remainder }.updates();
        assert_eq!([Remainder::Step, Remainder::Drop, Remainder::Carry].map(updates), [196, 195, 195]);
    }

    #[test]
    fn an_epoch_without_an_update_is_refused() {
        assert!(cut(7, 2, Remainder::Step).check().is_ok());
        assert!(cut(7, 2, Remainder::Drop).check().unwrap_err().to_string().contains("7 training images do not fill"));
        assert!(cut(7, 2, Remainder::Carry).check().is_ok(), "two batches, the second smaller");
        assert!(cut(4, 2, Remainder::Carry).check().is_err());
        assert!("steps".parse::<Remainder>().unwrap_err().to_string().contains("did you mean `step`"));
    }
}
