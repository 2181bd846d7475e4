"""Probes, statistics, health, failure modes, baselines and reports, read and written as a lake."""
