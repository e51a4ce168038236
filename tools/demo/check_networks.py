"""Compares networks.py with diffusers and transformers on random weights; they must agree to rounding."""

import torch
from diffusers import AutoencoderKL, SD3Transformer2DModel
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, T5Config, T5EncoderModel

import networks

TOLERANCE = 1e-4


def report(name, ours, theirs):
    difference = (ours - theirs).abs().max().item()
    print(f"{name:24} largest difference {difference:.2e} of {theirs.abs().max():.2f}")
    assert difference <= TOLERANCE, name


@torch.no_grad()
def main():
    torch.manual_seed(0)
    words, pieces = 1500, 1152
    vae, painter = networks.Vae().eval(), networks.Painter(words, pieces).eval()
    for weight in painter.transformer.parameters():  # many start at zero, which would compare nothing
        torch.nn.init.normal_(weight, std=0.05)

    reference = SD3Transformer2DModel.from_config(networks.TRANSFORMER_CONFIG).eval()
    reference.load_state_dict(painter.transformer.state_dict())
    latents, context, pooled, time = torch.randn(2, 16, 32, 32), torch.randn(2, 333, 320), torch.randn(2, 256), torch.tensor([987.38, 12.5])
    report("transformer", painter.transformer(latents, time, context, pooled), reference(latents, context, pooled, time).sample)

    reference = AutoencoderKL.from_config(networks.VAE_CONFIG).eval()
    reference.load_state_dict(vae.state_dict())
    picture = torch.rand(1, 3, 256, 256) * 2 - 1
    report("vae encoder", vae.moments(picture)[0], reference.encode(picture).latent_dist.mean)
    report("vae decoder", vae.decoder(latents[:1]), reference.decode(latents[:1]).sample)

    ids = torch.randint(3, words - 2, (2, networks.CLIP_TOKENS))
    ids[:, 20:] = words - 1
    for name, config in (("text_encoder", networks.CLIP_L_CONFIG), ("text_encoder_2", networks.CLIP_G_CONFIG)):
        ours = getattr(painter, name)
        reference = CLIPTextModelWithProjection(CLIPTextConfig(**config, vocab_size=words)).eval()
        reference.load_state_dict(ours.state_dict())
        hidden, pooled = ours(ids)
        theirs = reference(ids, output_hidden_states=True)
        report(name, hidden, theirs.hidden_states[-2])
        report(name + " pooled", pooled, theirs.text_embeds)

    reference = T5EncoderModel(T5Config(**networks.T5_CONFIG, vocab_size=pieces)).eval()
    reference.load_state_dict(painter.text_encoder_3.state_dict(), strict=False)
    ids = torch.randint(3, pieces, (2, networks.T5_TOKENS))
    report("text_encoder_3", painter.text_encoder_3(ids), reference(ids).last_hidden_state)


if __name__ == "__main__":
    main()
