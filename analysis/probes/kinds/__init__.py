"""The kinds of probes, one file each, with its default as `KIND`; `registry` finds them by name."""
