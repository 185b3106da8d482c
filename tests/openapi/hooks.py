"""Makes random requests meet something: accounts that are open, models that there are, holds that were made.

Without it nearly all of them would end at the first refusal. What is malformed on purpose stays so, and some of the
rest stays as it came, too.
"""

import json
import random
import re
import uuid

import schemathesis

CHANCE = random.Random(1)
NEAR, FAR = "fuzzed", "fuzzed-far"  # The second one's clock was set to any time, and never runs backwards.
MODELS = ["kimi-k2", "gpt-oss-120b", "claude-sonnet-4", "flux-dev", "veo-3", "bark"]
PLANS = ["free", "starter", "maker", "plus"]
MADE = {"hold": [], "charge": [], "grant": []}
KNOWN = {**MADE, "perk": ["early_bird"], "feature": ["file_uploads", "max_file_bytes"]}
ACCOUNT = re.compile(r"[A-Za-z0-9._:@-]{1,128}")


def mostly():
    return CHANCE.random() < 0.8


def of_the_catalog(body):
    """The same body with models and plans of the catalog where it names any."""
    if isinstance(body, list):
        return [of_the_catalog(item) for item in body]
    if not isinstance(body, dict):
        return body
    body = {name: of_the_catalog(value) if name == "items" else value for name, value in body.items()}
    for name, known in (("model", MODELS), ("plan", PLANS)):
        if isinstance(body.get(name), str) and mostly():
            body[name] = CHANCE.choice(known)
    return body


@schemathesis.hook
def before_call(context, case, kwargs):
    headers = case.headers if case.headers is not None else {}
    has_clock = "Test-Clock" in headers
    if has_clock and mostly():
        del headers["Test-Clock"]
        has_clock = False
    if isinstance(headers.get("Idempotency-Key"), str) and mostly():
        headers["Idempotency-Key"] = str(uuid.UUID(int=CHANCE.getrandbits(128)))

    path = case.path_parameters or {}
    account = path.get("account")
    if isinstance(account, str) and ACCOUNT.fullmatch(account) and (has_clock or mostly()):
        path["account"] = FAR if has_clock else NEAR
    for name, known in KNOWN.items():
        if isinstance(path.get(name), str) and known and mostly():
            path[name] = CHANCE.choice(known[-20:])
    if isinstance(case.body, dict):
        case.body = of_the_catalog(case.body)


@schemathesis.hook
def after_call(context, case, response):
    if response.status_code not in (200, 201) or (case.path_parameters or {}).get("account") != NEAR:
        return
    answer = json.loads(response.content)
    for name, made in MADE.items():
        if isinstance(answer.get(name), dict) and answer[name]["id"] not in made:
            made.append(answer[name]["id"])
