"""Training: tasks, losses, augmentation and one trainer."""
