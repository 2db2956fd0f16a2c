//! The batches of the last update once more, where it was not finite.

use super::Trainer;
use crate::{
    data::Split,
    error::{Error, Result},
    training::{
        Part,
        network::{NotFinite, Place},
    },
};

impl Trainer {
    /// Computes the last update again, if it was skipped because loss or gradient was not finite, and names the first
    /// kernel and layer whose output is not; `None` if the update was finite, or is this time. A skipped update leaves
    /// the weights as they were, so the computation is the same; but the running statistics move once more, so this
    /// must come after everything that is saved.
    ///
    /// # Errors
    /// [`Error::Device`] on a fault of the device, or a fault of the data, which are read again.
    pub async fn find_not_finite(&mut self) -> Result<Option<NotFinite>> {
        if self.position.skips == 0 || self.last.is_empty() {
            return Ok(None);
        }
        let mut batches = Vec::new();
        for (indices, place) in &self.last {
            // Batches may differ in size, so each is read by itself.
            let mut images =
                self.source.batches(Split::Train, indices.clone(), indices.len(), self.parts(place.epoch))?;
            batches.extend(self.next(images.as_mut(), place.epoch).await?.map(|images| (images, *place)));
        }
        self.network.leave_evaluation();
        self.network.find_not_finite(&batches).await
    }

    /// The batches whose gradient waits for the next epoch, as they were trained on: those at the end of the epoch
    /// under way or, if it has not begun, of the previous one.
    pub(super) fn carried(&self) -> Vec<(Vec<u32>, Place)> {
        let epoch = self.position.epoch() - u32::from(self.position.batch == 0);
        let (cut, order) = (self.options.cut(self.source.dataset().len(Split::Train)), self.order(epoch));
        let place = |(index, images): (usize, &[u32])| {
            let Part { begins, divisor, .. } = cut.part(index, images.len());
            // The learning rate is that of the update, which is not part of them.
            (images.to_vec(), Place { first: begins, last: false, images: divisor, epoch, lr: 0.0 })
        };
        order.chunks(cut.batch).enumerate().skip(cut.updates() * cut.accumulate).map(place).collect()
    }

    /// Checks that the last update was finite.
    pub(super) async fn assure_finite(&mut self) -> Result<()> {
        if self.position.skips == 0 {
            return Ok(());
        }
        let found = match self.find_not_finite().await? {
            Some(found) => found.to_string(),
            None => "run again dispatch by dispatch, every number is finite: the device does not repeat itself".into(),
        };
        let message = format!("update {} is not finite: {found}", self.position.step);
        let hint = "inputs that grow from update to update ask for a smaller 'lr'; inputs that are small and finite \
                    ask for `velograd selftest`";
        Err(Error::NotFinite { message, hint: hint.into() })
    }
}
