"""The functions of `import layerhouse`, by what they need: a model, what was extracted, a lake."""
