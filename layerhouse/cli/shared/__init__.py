"""What commands share: options, words and progress bars."""
