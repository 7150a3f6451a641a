"""What a trained model can do, in numbers: one file a task, each with its interval."""
