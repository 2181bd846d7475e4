"""How vectors are laid out, by name; a command knows them without what they are made with."""

PCA, TSNE = METHODS = ("pca", "tsne")
