-- Grain: one row per (model, dataset) with answers to test samples: its rank by them.
--
-- Accuracies on different images do not rank. The largest set of test samples that some model
-- answered leads (of equal ones that which most models answered, then the first model's by name),
-- and only models that answered exactly it have a rank; `rank_note` says so of the others, and where
-- methods differ.
WITH sample_sets AS (
    SELECT
        answer.model_id,
        answer.dataset_id,
        answer.method,
        bit_xor(hash(answer.sample_id)) AS samples
    FROM diagnosed_answer AS answer
    INNER JOIN sample
        ON answer.dataset_id = sample.dataset_id AND answer.sample_id = sample.sample_id
    WHERE sample.split = 'test'
    GROUP BY answer.model_id, answer.dataset_id, answer.method
),

answered AS (
    SELECT
        diagnosed_method.model_id,
        diagnosed_method.dataset_id,
        diagnosed_method.method,
        diagnosed_method.prompt_id,
        diagnosed_method.n_test,
        diagnosed_method.n_samples,
        stage_signal.test_accuracy,
        sample_sets.samples
    FROM diagnosed_method
    INNER JOIN stage_signal
        ON
            diagnosed_method.model_id = stage_signal.model_id
            AND diagnosed_method.dataset_id = stage_signal.dataset_id
            AND stage_signal.stage = 'answer'
    INNER JOIN sample_sets
        ON
            diagnosed_method.model_id = sample_sets.model_id
            AND diagnosed_method.dataset_id = sample_sets.dataset_id
            AND diagnosed_method.method = sample_sets.method
),

compared AS (
    SELECT
        dataset_id,
        samples,
        n_test,
        list_sort(list(DISTINCT split_part(method, ':', 1))) AS methods
    FROM answered
    GROUP BY dataset_id, samples, n_test
    QUALIFY row_number() OVER (
        PARTITION BY dataset_id
        ORDER BY n_test DESC, count(*) DESC, min(model_id) ASC
    ) = 1
)

SELECT
    answered.model_id,
    answered.dataset_id,
    answered.method,
    answered.prompt_id,
    answered.n_test,
    answered.n_samples,
    CASE
        WHEN answered.samples = compared.samples
            THEN rank() OVER (
                PARTITION BY answered.dataset_id, answered.samples
                ORDER BY round(answered.test_accuracy, 9) DESC
            )
    END AS answer_rank,
    CASE
        WHEN answered.n_test < compared.n_test
            THEN concat(
                'not ranked: answered ',
                answered.n_test,
                ' of ',
                answered.n_samples,
                ' test samples, the models that are ranked ',
                compared.n_test
            )
        WHEN answered.samples <> compared.samples
            THEN 'not ranked: answered other test samples than the models that are ranked'
        WHEN array_length(compared.methods) > 1
            THEN concat('ranked with answers by ', array_to_string(compared.methods, ', '))
    END AS rank_note
FROM answered
INNER JOIN compared ON answered.dataset_id = compared.dataset_id
