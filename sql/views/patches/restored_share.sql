-- Grain: one row per (model, donor model, dataset, locus, patched tokens) of patches between models:
-- how much of what the donor answers better comes back with its states there.
--
-- restored_share = (patched - own) / (donor - own), each the score of the same samples; NULL unless
-- the donor is better beyond its interval, since a share of nothing says nothing. Intervals are
-- paired and over groups: the linearised ratio (Cochran 1977, Sampling Techniques, 6.4) of the
-- groups' sums, z = 1.959964; a test holds them against the bootstrap.
WITH groups AS (
    SELECT
        model_id,
        donor_model_id,
        dataset_id,
        module,
        layer,
        tokens,
        group_id,
        bool_and(ends_stage) AS ends_stage,
        any_value(score) AS score,
        count(*) AS n,
        sum(weight) AS weight,
        sum(weight * patched) AS patched,
        sum(weight * own) AS own,
        sum(weight * donor) AS donor
    FROM patched_answer
    GROUP BY model_id, donor_model_id, dataset_id, module, layer, tokens, group_id
),

sums AS (
    SELECT
        model_id,
        donor_model_id,
        dataset_id,
        module,
        layer,
        tokens,
        bool_and(ends_stage) AS ends_stage,
        any_value(score) AS score,
        sum(n) AS n,
        count(*) AS n_groups,
        sum(weight) AS weight,
        sum(patched) / sum(weight) AS patched_score,
        sum(own) / sum(weight) AS own_score,
        sum(donor) / sum(weight) AS donor_score
    FROM groups
    GROUP BY model_id, donor_model_id, dataset_id, module, layer, tokens
),

ratios AS (
    SELECT
        *,
        donor_score - own_score AS gap,
        CASE
            WHEN donor_score > own_score
                THEN (patched_score - own_score) / (donor_score - own_score)
        END AS share
    FROM sums
),

deviations AS (
    SELECT
        ratios.model_id,
        ratios.donor_model_id,
        ratios.dataset_id,
        ratios.module,
        ratios.layer,
        ratios.tokens,
        CASE
            WHEN any_value(ratios.n_groups) > 1
                THEN
                    sqrt(
                        sum((groups.donor - groups.own - ratios.gap * groups.weight) ^ 2)
                        * any_value(ratios.n_groups / (ratios.n_groups - 1))
                    ) / any_value(ratios.weight)
        END AS gap_error,
        CASE
            WHEN any_value(ratios.n_groups) > 1
                THEN
                    sqrt(
                        sum(
                            (
                                groups.patched - groups.own
                                - ratios.share * (groups.donor - groups.own)
                            ) ^ 2
                        ) * any_value(ratios.n_groups / (ratios.n_groups - 1))
                    ) / any_value(ratios.gap * ratios.weight)
        END AS share_error
    FROM ratios
    INNER JOIN groups
        ON
            ratios.model_id = groups.model_id
            AND ratios.donor_model_id = groups.donor_model_id
            AND ratios.dataset_id = groups.dataset_id
            AND ratios.module = groups.module
            AND ratios.layer = groups.layer
            AND ratios.tokens = groups.tokens
    GROUP BY
        ratios.model_id,
        ratios.donor_model_id,
        ratios.dataset_id,
        ratios.module,
        ratios.layer,
        ratios.tokens
),

told AS (
    SELECT
        ratios.*,
        layer.depth,
        ratios.gap - 1.959964 * deviations.gap_error AS gap_lower,
        ratios.gap + 1.959964 * deviations.gap_error AS gap_upper,
        deviations.share_error
    FROM ratios
    INNER JOIN deviations
        ON
            ratios.model_id = deviations.model_id
            AND ratios.donor_model_id = deviations.donor_model_id
            AND ratios.dataset_id = deviations.dataset_id
            AND ratios.module = deviations.module
            AND ratios.layer = deviations.layer
            AND ratios.tokens = deviations.tokens
    INNER JOIN layer
        ON
            ratios.model_id = layer.model_id
            AND ratios.module = layer.module
            AND ratios.layer = layer.layer
)

SELECT
    model_id,
    donor_model_id,
    dataset_id,
    module,
    layer,
    depth,
    tokens,
    ends_stage,
    score,
    n,
    n_groups,
    own_score,
    patched_score,
    donor_score,
    gap,
    gap_lower,
    gap_upper,
    CASE WHEN exceeds(gap_lower, 0) THEN share END AS restored_share,
    CASE WHEN exceeds(gap_lower, 0) THEN share - 1.959964 * share_error END AS lower,
    CASE WHEN exceeds(gap_lower, 0) THEN share + 1.959964 * share_error END AS upper
FROM told
