SELECT
    leaderboard_rank,
    signal_rank,
    health_rank,
    model_id,
    answer_accuracy,
    answer_lower,
    answer_upper,
    answer_method,
    random_floor,
    reference_accuracy,
    reference_source,
    vision_accuracy,
    connector_accuracy,
    llm_accuracy,
    total_loss,
    retained_signal,
    chance,
    vision_health,
    connector_health,
    llm_comprehension_health,
    llm_utilisation_health,
    overall_health,
    verdict,
    CASE
        WHEN answer_method IS NOT NULL
            THEN concat(
                'by ',
                answer_method,
                CASE WHEN prompt_id IS NOT NULL THEN concat(' to the prompt ', prompt_id) END,
                ' on ',
                n_test,
                ' of ',
                n_samples,
                ' test samples',
                CASE WHEN rank_note IS NOT NULL THEN concat(' (', rank_note, ')') END
            )
    END AS asked
FROM mart_leaderboard
WHERE dataset_id = $dataset AND list_contains($models, model_id)
ORDER BY leaderboard_rank, model_id
