"""The peft package's view of an adapter: python3 with_peft.py (read | write) CHECKPOINT ADAPTER IDS.

read: loads the adapter. write: makes one with random numbers, different ranks and rslora, and saves it.
Prints JSON: the logits [ids, vocabulary] of the model with the adapter, and the names of its LoRA tensors.
"""

import json
import sys

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

how, checkpoint, adapter, ids = sys.argv[1:]
torch.manual_seed(1)
model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32, attn_implementation="eager")
if how == "write":
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
else:
    model = PeftModel.from_pretrained(model, adapter)
model.eval()
with torch.no_grad():
    logits = model(torch.tensor([json.loads(ids)])).logits[0]
names = sorted(name for name, _ in model.named_parameters() if "lora_" in name)
print(json.dumps({"logits": logits.flatten().tolist(), "names": names}))
