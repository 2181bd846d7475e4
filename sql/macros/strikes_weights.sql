-- Whether a variant is of faults of weights alone, so that its weights are whole and can be mended.
CREATE OR REPLACE MACRO strikes_weights(variant)
AS regexp_full_match(variant, 'fault:(damage|lowrank)@[^+]*([+]fault:(damage|lowrank)@[^+]*)*');
