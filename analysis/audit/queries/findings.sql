SELECT
    finding,
    subject,
    n,
    sample_id,
    other_sample_id,
    balanced_accuracy,
    chance,
    lower,
    upper
FROM audit_finding
WHERE dataset_id = $dataset
ORDER BY finding ASC, balanced_accuracy DESC, subject ASC
