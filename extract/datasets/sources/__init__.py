"""One file per kind of place that labelled images come from; `base` says what each is."""
