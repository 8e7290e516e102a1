"""The peft package's view of adapters: python3 with_peft.py < JOBS, a JSON list of {how, checkpoint, adapter, ids}.

read: loads the adapter. write: makes one with random numbers, different ranks and rslora, and saves it.
Prints a JSON list: for each the logits [ids, vocabulary] of the model with the adapter, and the names of its tensors.
"""

import json
import sys

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM


def adapted(how, checkpoint, adapter):
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32, attn_implementation="eager")
    if how == "read":
        return PeftModel.from_pretrained(model, adapter)
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=4,
        lora_alpha=6,
        use_rslora=True,
        target_modules="all-linear",
        rank_pattern={r"model\.layers\.1\.self_attn\.q_proj": 7},
        alpha_pattern={"o_proj": 3},
        init_lora_weights=False,
    )
    model = get_peft_model(model, config)
    model.save_pretrained(adapter)
    return model


def view(how, checkpoint, adapter, ids):
    model = adapted(how, checkpoint, adapter).eval()
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0]
    names = sorted(name for name, _ in model.named_parameters() if "lora_" in name)
    return {"logits": logits.flatten().tolist(), "names": names}


print(json.dumps([view(**job) for job in json.load(sys.stdin)]))
