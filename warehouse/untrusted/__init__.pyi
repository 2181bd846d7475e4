from .pretrained import (
    read_object as read_object,
    refuse_unsafe_weights as refuse_unsafe_weights,
)
from .reading import (
    MOST_BYTES as MOST_BYTES,
    MOST_DEPTH as MOST_DEPTH,
    UnfitError as UnfitError,
    check_shard_unpacked as check_shard_unpacked,
    memory as memory,
    parse_json as parse_json,
    read_bounded as read_bounded,
)
from .shapes import (
    Shape as Shape,
    amount as amount,
    anything as anything,
    fields as fields,
    listing as listing,
    mapping as mapping,
    maybe as maybe,
    moment as moment,
    one_of as one_of,
    refuse as refuse,
    row as row,
    text as text,
    truth as truth,
    whole as whole,
)
