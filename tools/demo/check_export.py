"""Holds the exported folder to its word: transformers' tokenizers give the ids it was trained on, diffusers' networks the same
numbers as ours, and diffusers' pipeline draws the same picture as pictures.py."""

import argparse

import torch
from diffusers import StableDiffusion3Pipeline

import weights
from check_networks import report
from networks import Painter, Vae
from pictures import draw
from scenes import held_out_scenes
from text import Text


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="../../models/demo")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    pipe = StableDiffusion3Pipeline.from_pretrained(args.model, torch_dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    text = Text(args.model)
    captions = [caption for scene in held_out_scenes(300) for caption in scene.captions] + [""]
    lengths = (77, 77, 256)
    for tokenizer, length, ours in zip((pipe.tokenizer, pipe.tokenizer_2, pipe.tokenizer_3), lengths, text(captions)):
        theirs = tokenizer(captions, padding="max_length", max_length=length, truncation=True, return_tensors="np").input_ids
        assert (theirs == ours).all(), type(tokenizer)
    print(f"token ids of {len(captions)} captions agree")

    tensors, stats = weights.load(args.model)
    painter = Painter(text.clip_vocabulary, text.t5_vocabulary).eval()
    painter.load_state_dict({name: tensor.float() for name, tensor in tensors.items() if not name.startswith("vae.")})
    vae = Vae().eval()
    vae.load_state_dict(weights.component(tensors, "vae"))
    ids, empty = ([torch.from_numpy(i).long() for i in text(words)] for words in (captions[:1], [""]))
    context, pooled = painter.encode(*ids)
    theirs, _, their_pooled, _ = pipe.encode_prompt(captions[0], captions[0], captions[0], do_classifier_free_guidance=False)
    report("prompt embedding", context, theirs)
    report("pooled embedding", pooled, their_pooled)
    latents, time = torch.randn(1, 16, 32, 32, generator=torch.Generator().manual_seed(1)), torch.tensor([700.0])
    report("transformer", painter.transformer(latents, time, context, pooled), pipe.transformer(latents, theirs, their_pooled, time).sample)
    report("vae decoder", vae.decoder(latents), pipe.vae.decode(latents).sample)

    ours = draw(painter, vae, stats, ids, empty, [args.seed], args.steps)
    theirs = pipe(captions[0], num_inference_steps=args.steps, guidance_scale=5.0, generator=torch.Generator().manual_seed(args.seed), output_type="pt").images
    report("picture", (ours + 1) / 2, theirs)


if __name__ == "__main__":
    main()
