"""velograd from Python: train with the program, and read the runs that it leaves.

The package is thin. Training is the program's work, in a process of its own; this package starts it, passes on the rows that
it writes, and reads a run's folder as pandas data frames, NumPy arrays and PyTorch tensors.

    import velograd

    training = velograd.train(dataset="shapes10", preset="quick", optimizer="adamw", set={"lr": 1e-3}, out="runs/look")
    for row in training:
        if isinstance(row, velograd.Epoch):
            print(row["epoch"], row["train_loss"], row["val_acc"])
    run = training.run()
    print(run.epochs, run.weights()["fc.weight"].shape)
"""

from ._program import ProgramError, program
from ._run import Run, load_run
from ._train import Epoch, Training, Update, train

__all__ = ["Epoch", "ProgramError", "Run", "Training", "Update", "load_run", "program", "train"]
