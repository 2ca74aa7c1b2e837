"""Prints what the prototype of the planner makes of random problems, one a line, as JSON."""

import json
import random
import sys

sys.path.insert(0, sys.argv[1])
from ours import plan, price, prod  # noqa: E402

COUNTS = ["src_get", "src_bytes", "int_put", "int_get", "int_bytes_w", "int_bytes_r", "tgt_put",
          "tgt_bytes", "peak", "stages", "tasks"]


def number(value):
    return value if value is None else int(value)


def groups(parts):
    return [[int(x) for x in part] if isinstance(part, tuple) else part for part in parts]


random.seed(7)
for trial in range(int(sys.argv[2])):
    rank = random.choice([1, 2, 2, 3, 4])
    longest = {1: 4000, 2: 90, 3: 24, 4: 8}[rank]
    shape = tuple(random.randint(1, longest) for _ in range(rank))
    source = tuple(random.randint(1, n) for n in shape)
    target = tuple(random.randint(1, n) for n in shape)
    if random.random() < 0.3:
        target = tuple(min(n, s * random.randint(1, 4)) for n, s in zip(shape, source))
    item = random.choice([1, 2, 4, 8])
    memory = item * max(prod(source) * 4, prod(target) * 3) * random.choice([1, 2, 4])
    memory += random.randint(0, item * prod(target))
    best, ways = plan(shape, source, target, item, memory, True)
    out = {"shape": shape, "source": source, "target": target, "item": item, "memory": memory,
           "best": best, "ways": {}}
    for name, way in ways.items():
        out["ways"][name] = {"plan": groups(way["plan"]), "usd": float(price(way)[1]),
                             "counts": [number(way[key]) for key in COUNTS]}
    print(json.dumps(out))
