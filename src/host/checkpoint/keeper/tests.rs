use serde_json::json;

use super::*;
use crate::{
    optim::Updates,
    training::{Position, network::State},
};

fn keeper(every: &str) -> Keeper {
    let policy = Policy { every: every.parse().unwrap(), ..Policy::default() };
    Keeper::new(PathBuf::new(), policy, Value::Null, None)
}

fn best_of(step: u64, accuracy: f64) -> Best {
    Best { step, accuracy, loss: Some(1.0) }
}

/// A checkpoint after `epoch` epochs of ten updates each, the last epoch with this validation accuracy.
fn checkpoint(epoch: u64, accuracy: f64) -> Checkpoint {
    let row = json!({ "epoch": epoch, "train_loss": 1.0, "train_acc": 1.0, "val_loss": 1.0, "val_acc": accuracy,
                      "seconds": 1.0, "images_per_second": 1.0 });
    let epochs = vec![serde_json::from_value(row).unwrap()];
    let updates = Updates { issued: 10 * epoch, skipped: 0 };
    let buffers = vec![("params".to_owned(), vec![7; 64])];
    let network = State { buffers, updates, batches: 10, evaluating: false, waiting: None };
    Checkpoint { position: Position { step: 10 * epoch, epochs, ..Position::default() }, network }
}

#[test]
fn the_newest_and_the_best_are_kept() {
    let folder = std::env::temp_dir().join(format!("velograd-keeper-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    let policy = Policy { keep: 1, ..Policy::default() };
    let steps = || list(&folder).into_iter().map(|(step, _)| step).collect::<Vec<_>>();
    let mut keeper = Keeper::new(folder.clone(), policy, Value::Null, None);
    for (epoch, accuracy) in (1..).zip([10.0, 50.0, 30.0, 50.0]) {
        keeper.save(checkpoint(epoch, accuracy)).unwrap();
    }
    keeper.wait().unwrap();
    assert_eq!(steps(), [40, 20], "the first of two that are equally good");

    // The next process reads the best one from the file.
    let loaded = newest(&folder, (40, 1), None, &mut |fault| panic!("{fault}")).unwrap().unwrap();
    assert_eq!((loaded.best, loaded.checkpoint.position.step), (Some(best_of(20, 50.0)), 40));
    let mut keeper = Keeper::new(folder.clone(), policy, Value::Null, Some(&loaded));
    for (epoch, accuracy) in [(5, 40.0), (6, 60.0), (7, 1.0)] {
        keeper.save(checkpoint(epoch, accuracy)).unwrap();
    }
    keeper.wait().unwrap();
    assert_eq!(steps(), [70, 60]);
    assert_eq!(keeper.best().unwrap().0, folder.join("step-000000060.safetensors"));
    assert_eq!(best_in(&folder).unwrap().unwrap().1, best_of(60, 60.0));
    fs::remove_dir_all(&folder).unwrap();
}

/// The best of a run of text is that of the least loss, also after one that an older program has chosen by its accuracy.
#[test]
fn text_is_judged_by_its_loss() {
    let run =
        json!({ "model": "gpt", "tokens": { "length": 4, "vocabulary": 2 }, "dataset": { "classes": ["a", "b"] } });
    let mut keeper = Keeper::new(PathBuf::new(), Policy::default(), run, None);
    keeper.best = serde_json::from_value(json!({ "step": 5, "accuracy": 99.0 })).unwrap();
    for (epoch, accuracy, loss, best) in
        [(1, 50.0, 2.0, 10), (2, 40.0, 1.5, 20), (3, 60.0, 1.75, 20), (4, 40.0, 1.5, 20)]
    {
        let mut checkpoint = checkpoint(epoch, accuracy);
        checkpoint.position.epochs[0].val_loss = Some(loss);
        keeper.best = keeper.best_with(&checkpoint);
        assert_eq!(keeper.best.unwrap().step, best, "epoch {epoch}");
    }
    assert_eq!(keeper.best, Some(Best { step: 20, accuracy: 40.0, loss: Some(1.5) }));
}

/// Logits that are not finite still have an argmax: neither their accuracy counts nor any after them.
#[test]
fn what_is_not_finite_is_not_the_best() {
    let keeper = keeper("1epoch");
    let with = |loss: f64, diverged: Option<u64>| {
        let mut checkpoint = checkpoint(1, 90.0);
        checkpoint.position.epochs[0].val_loss = Some(loss);
        checkpoint.position.diverged = diverged;
        keeper.best_with(&checkpoint)
    };
    assert_eq!(with(1.0, None), Some(best_of(10, 90.0)));
    for loss in [f64::NAN, f64::INFINITY] {
        assert_eq!(with(loss, None), None);
    }
    assert_eq!(with(1.0, Some(3)), None);
}

/// On going back to a checkpoint, newer ones are renamed, and a best one whose file is gone no longer counts.
#[test]
fn newer_ones_are_set_aside() {
    let folder = std::env::temp_dir().join(format!("velograd-aside-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    let policy = Policy { keep: 9, ..Policy::default() };
    let mut keeper = Keeper::new(folder.clone(), policy, Value::Null, None);
    for (epoch, accuracy) in [(1, 30.0), (2, 20.0), (3, 50.0)] {
        keeper.save(checkpoint(epoch, accuracy)).unwrap();
    }
    keeper.wait().unwrap();
    let second = folder.join(file_name(20));
    let loaded = named(&second, (30, 3), None).unwrap();
    assert!(named(&second, (19, 3), None).err().unwrap().to_string().contains("not all in the logs"));
    let aside = set_aside_newer(&folder, 20).unwrap();
    assert_eq!(aside, [folder.join("step-000000030.undone")]);
    assert_eq!(list(&folder).into_iter().map(|(step, _)| step).collect::<Vec<_>>(), [20, 10]);
    let best = |from: &Loaded| Keeper::new(folder.clone(), policy, Value::Null, Some(from)).best().unwrap().1;
    assert_eq!(best(&loaded), best_of(10, 30.0));
    fs::remove_file(folder.join(file_name(10))).unwrap();
    assert_eq!(best(&loaded), best_of(20, 20.0), "the best of those that are there");
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn when_they_are_due() {
    let at = |updates, epochs, after| Point { updates, epochs, after };
    for (every, update, epoch) in [("1epoch", false, true), ("2epochs", false, false), ("off", false, false)] {
        assert_eq!(keeper(every).due(at(3, 0, After::Update)), update, "{every}");
        assert_eq!(keeper(every).due(at(5, 1, After::Epoch)), epoch, "{every}");
        assert_eq!(keeper(every).due(at(5, 1, After::Run)), every != "off", "{every}");
    }
    assert!(keeper("2epochs").due(at(10, 2, After::Epoch)));
    assert!(keeper("3steps").due(at(3, 0, After::Update)) && !keeper("3steps").due(at(2, 0, After::Update)));
    assert!(!keeper("3steps").due(at(3, 0, After::LastUpdate)), "the one after the evaluation replaces it");
    assert!(keeper("3steps").due(at(3, 1, After::Epoch)));
    assert!(!keeper("1min").due(at(3, 0, After::Update)));
    for wrong in ["", "1", "epoch", "0epoch", "-1epoch", "1.5min", "1hour", "99999999999steps"] {
        assert!(wrong.parse::<Every>().is_err(), "{wrong}");
    }
    for text in ["1epoch", "2epochs", "1step", "50steps", "600s", "off"] {
        assert_eq!(text.parse::<Every>().unwrap().to_string(), text);
    }
}
