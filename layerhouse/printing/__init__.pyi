from .cells import width_of as width_of, width_on as width_on
from .documents import document as document, print_json as print_json
from .tables import (
    FORM_OF as FORM_OF,
    FORMATS as FORMATS,
    print_table as print_table,
    write_relation as write_relation,
)
from .terminal import guarded as guarded, plain as plain, raw as raw, unbroken as unbroken
from .words import counted as counted, interval as interval
