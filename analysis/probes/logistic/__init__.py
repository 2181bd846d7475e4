"""L2-regularised multinomial logistic regression, many problems at once: `solver` says how."""
