"""What commands share: options, output formats and progress."""
