"""What schemathesis asks of `rest`: a key that is as described is one of its own each time.

A key stands for one request: with another request under it `rest` answers 422, as it describes, and no caller would draw keys by chance.
Keys that are not as described stay as they are.
"""

import itertools
import re

import schemathesis

NAME = "Idempotency-Key"
DESCRIBED = re.compile(r'[!#-~]+|"[ !#-~]+"')
NUMBERS = itertools.count()


@schemathesis.hook
def before_call(context, case, kwargs):
    key = (case.headers or {}).get(NAME)
    if isinstance(key, str) and len(key) <= 200 and DESCRIBED.fullmatch(key):
        number = f"-{next(NUMBERS)}"
        case.headers[NAME] = f'{key[:-1]}{number}"' if key.endswith('"') else key + number
