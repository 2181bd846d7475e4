-- Comprehension and utilisation loss sum to the llm's loss, unparsed, truncated and wrong to the answer's.
SELECT
    model_id,
    dataset_id,
    failure_mode,
    loss,
    comprehension_loss,
    utilisation_loss,
    unparsed_loss,
    truncated_loss,
    wrong_loss
FROM mart_failure_modes
WHERE
    abs(comprehension_loss + utilisation_loss - loss) > 1e-9
    OR abs(unparsed_loss + truncated_loss + wrong_loss - loss) > 1e-9
