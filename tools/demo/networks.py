"""The demo model's four networks in plain PyTorch. Parameter names are those of diffusers and transformers, so that exporting
is renaming nothing; the configurations are the exported folder's."""

import math

import torch
import torch.nn.functional as F
from torch import nn

VAE_CONFIG = {
    "_class_name": "AutoencoderKL", "act_fn": "silu", "in_channels": 3, "out_channels": 3, "latent_channels": 16,
    "block_out_channels": [32, 64, 96, 128], "layers_per_block": 1, "norm_num_groups": 8, "sample_size": 256, "force_upcast": False,
    "down_block_types": ["DownEncoderBlock2D"] * 4, "up_block_types": ["UpDecoderBlock2D"] * 4,
    "use_quant_conv": False, "use_post_quant_conv": False, "mid_block_add_attention": True,
    "latents_mean": None, "latents_std": None,
}
CLIP_L_CONFIG = {
    "architectures": ["CLIPTextModelWithProjection"], "model_type": "clip_text_model", "hidden_size": 128, "intermediate_size": 512,
    "num_hidden_layers": 2, "num_attention_heads": 2, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5, "max_position_embeddings": 77,
    "projection_dim": 128, "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1, "attention_dropout": 0.0,
}
CLIP_G_CONFIG = {**CLIP_L_CONFIG, "num_hidden_layers": 3, "hidden_act": "gelu"}
T5_CONFIG = {
    "architectures": ["T5EncoderModel"], "model_type": "t5", "d_model": 320, "d_ff": 320, "d_kv": 64, "num_heads": 5, "num_layers": 2,
    "feed_forward_proj": "gated-gelu", "dense_act_fn": "gelu_new", "is_gated_act": True, "is_encoder_decoder": False, "use_cache": False,
    "relative_attention_num_buckets": 32, "relative_attention_max_distance": 128, "layer_norm_epsilon": 1e-6, "dropout_rate": 0.0,
    "pad_token_id": 0, "eos_token_id": 1, "tie_word_embeddings": False,
}
TRANSFORMER_CONFIG = {
    "_class_name": "SD3Transformer2DModel", "sample_size": 32, "patch_size": 2, "in_channels": 16, "out_channels": 16, "num_layers": 5,
    "num_attention_heads": 4, "attention_head_dim": 64, "caption_projection_dim": 256, "joint_attention_dim": 320,
    "pooled_projection_dim": 256, "pos_embed_max_size": 32, "qk_norm": "rms_norm", "dual_attention_layers": [0, 1],
}
CLIP_TOKENS, T5_TOKENS = 77, 256


# ---------------------------------------------------------------- VAE


class Resnet(nn.Module):
    def __init__(self, c_in, c_out, groups):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(groups, c_in, 1e-6), nn.Conv2d(c_in, c_out, 3, padding=1)
        self.norm2, self.conv2 = nn.GroupNorm(groups, c_out, 1e-6), nn.Conv2d(c_out, c_out, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(c_in, c_out, 1) if c_in != c_out else None

    def forward(self, x):
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        return (x if self.conv_shortcut is None else self.conv_shortcut(x)) + h


class VaeAttention(nn.Module):
    def __init__(self, c, groups):
        super().__init__()
        self.group_norm = nn.GroupNorm(groups, c, 1e-6)
        self.to_q, self.to_k, self.to_v = nn.Linear(c, c), nn.Linear(c, c), nn.Linear(c, c)
        self.to_out = nn.ModuleList([nn.Linear(c, c)])

    def forward(self, x):
        b, c, h, w = x.shape
        t = self.group_norm(x).flatten(2).transpose(1, 2)
        o = F.scaled_dot_product_attention(self.to_q(t)[:, None], self.to_k(t)[:, None], self.to_v(t)[:, None])[:, 0]
        return x + self.to_out[0](o).transpose(1, 2).reshape(b, c, h, w)


class MidBlock(nn.Module):
    def __init__(self, c, groups):
        super().__init__()
        self.resnets = nn.ModuleList([Resnet(c, c, groups), Resnet(c, c, groups)])
        self.attentions = nn.ModuleList([VaeAttention(c, groups)])

    def forward(self, x):
        return self.resnets[1](self.attentions[0](self.resnets[0](x)))


class Resample(nn.Module):
    def __init__(self, c, up):
        super().__init__()
        self.up = up
        self.conv = nn.Conv2d(c, c, 3, padding=1) if up else nn.Conv2d(c, c, 3, stride=2)

    def forward(self, x):
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest") if self.up else F.pad(x, (0, 1, 0, 1)))


class Stage(nn.Module):
    """Some resnets, then a change of resolution unless it is the last stage."""

    def __init__(self, c_in, c_out, layers, groups, up, last):
        super().__init__()
        self.resnets = nn.ModuleList([Resnet(c_in if j == 0 else c_out, c_out, groups) for j in range(layers)])
        resample = nn.ModuleList([] if last else [Resample(c_out, up)])
        if up:
            self.upsamplers = resample
        else:
            self.downsamplers = resample
        self.resample = resample and [resample[0]]  # in a list, so that it is registered under one name only

    def forward(self, x):
        for resnet in self.resnets:
            x = resnet(x)
        return self.resample[0](x) if self.resample else x


class Coder(nn.Module):
    def __init__(self, config, decoder: bool):
        super().__init__()
        widths, groups, layers, z = config["block_out_channels"], config["norm_num_groups"], config["layers_per_block"], config["latent_channels"]
        self.decoder = decoder
        order = widths[::-1] if decoder else widths
        self.conv_in = nn.Conv2d(z if decoder else 3, order[0], 3, padding=1)
        stages = nn.ModuleList(Stage(order[max(i - 1, 0)], c, layers + decoder, groups, decoder, i == len(order) - 1) for i, c in enumerate(order))
        if decoder:
            self.up_blocks = stages
        else:
            self.down_blocks = stages
        self.mid_block = MidBlock(widths[-1], groups)
        self.conv_norm_out = nn.GroupNorm(groups, order[-1], 1e-6)
        self.conv_out = nn.Conv2d(order[-1], 3 if decoder else 2 * z, 3, padding=1)

    def forward(self, x):
        x = self.conv_in(x)
        if self.decoder:
            x = self.mid_block(x)
        for stage in self.up_blocks if self.decoder else self.down_blocks:
            x = stage(x)
        if not self.decoder:
            x = self.mid_block(x)
        return self.conv_out(F.silu(self.conv_norm_out(x)))


class Vae(nn.Module):
    def __init__(self, config=VAE_CONFIG):
        super().__init__()
        self.encoder, self.decoder = Coder(config, False), Coder(config, True)

    def moments(self, pictures):
        mean, log_variance = self.encoder(pictures).float().chunk(2, 1)
        return mean, log_variance.clamp(-30, 20)


# ---------------------------------------------------------------- CLIP text


class ClipAttention(nn.Module):
    def __init__(self, c, heads):
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(c, c) for _ in range(4))

    def forward(self, x):
        q, k, v = (p(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj))
        return self.out_proj(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2))


class ClipLayer(nn.Module):
    def __init__(self, config):
        super().__init__()
        c = config["hidden_size"]
        self.quick = config["hidden_act"] == "quick_gelu"
        self.self_attn = ClipAttention(c, config["num_attention_heads"])
        self.layer_norm1, self.layer_norm2 = nn.LayerNorm(c), nn.LayerNorm(c)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(c, config["intermediate_size"]), "fc2": nn.Linear(config["intermediate_size"], c)})

    def forward(self, x):
        x = x + self.self_attn(self.layer_norm1(x))
        h = self.mlp["fc1"](self.layer_norm2(x))
        return x + self.mlp["fc2"](h * torch.sigmoid(1.702 * h) if self.quick else F.gelu(h))


class ClipText(nn.Module):
    """Returns (hidden_states[-2], pooled and projected), the two things SD3 uses."""

    def __init__(self, config, vocabulary: int):
        super().__init__()
        c = config["hidden_size"]
        embeddings = nn.ModuleDict({"token_embedding": nn.Embedding(vocabulary, c), "position_embedding": nn.Embedding(CLIP_TOKENS, c)})
        layers = nn.ModuleList(ClipLayer(config) for _ in range(config["num_hidden_layers"]))
        self.text_model = nn.ModuleDict({"embeddings": embeddings, "encoder": nn.ModuleDict({"layers": layers}), "final_layer_norm": nn.LayerNorm(c)})
        self.text_projection = nn.Linear(c, config["projection_dim"], bias=False)
        # Larger than CLIP's own 0.02: hidden states go into the transformer without a norm, beside T5's of size 1.
        nn.init.normal_(embeddings["token_embedding"].weight, std=0.5)
        nn.init.normal_(embeddings["position_embedding"].weight, std=0.1)

    def forward(self, ids):
        embeddings, layers = self.text_model["embeddings"], self.text_model["encoder"]["layers"]
        x = embeddings["token_embedding"](ids) + embeddings["position_embedding"].weight[:ids.shape[1]]
        for layer in layers[:-1]:
            x = layer(x)
        last = self.text_model["final_layer_norm"](layers[-1](x))
        end = ids.argmax(-1)  # the end-of-text token has the highest id
        return x, self.text_projection(last[torch.arange(len(ids), device=ids.device), end])


# ---------------------------------------------------------------- T5 encoder


class T5Norm(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(c))

    def forward(self, x):
        return self.weight * F.rms_norm(x.float(), x.shape[-1:], eps=1e-6)


class T5Attention(nn.Module):
    def __init__(self, config, first):
        super().__init__()
        c, inner = config["d_model"], config["num_heads"] * config["d_kv"]
        self.heads = config["num_heads"]
        self.q, self.k, self.v = (nn.Linear(c, inner, bias=False) for _ in range(3))
        self.o = nn.Linear(inner, c, bias=False)
        if first:
            self.relative_attention_bias = nn.Embedding(config["relative_attention_num_buckets"], self.heads)
        nn.init.normal_(self.q.weight, std=(c * config["d_kv"]) ** -0.5)

    def forward(self, x, bias):
        q, k, v = (p(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for p in (self.q, self.k, self.v))
        return self.o(F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype), scale=1.0).transpose(1, 2).flatten(2))


class T5Block(nn.Module):
    def __init__(self, config, first):
        super().__init__()
        c, f = config["d_model"], config["d_ff"]
        attention = nn.ModuleDict({"SelfAttention": T5Attention(config, first), "layer_norm": T5Norm(c)})
        dense = nn.ModuleDict({"wi_0": nn.Linear(c, f, bias=False), "wi_1": nn.Linear(c, f, bias=False), "wo": nn.Linear(f, c, bias=False)})
        self.layer = nn.ModuleList([attention, nn.ModuleDict({"DenseReluDense": dense, "layer_norm": T5Norm(c)})])

    def forward(self, x, bias):
        attention, feed = self.layer
        x = x + attention["SelfAttention"](attention["layer_norm"](x), bias)
        h, dense = feed["layer_norm"](x), feed["DenseReluDense"]
        return x + dense["wo"](F.gelu(dense["wi_0"](h), approximate="tanh") * dense["wi_1"](h))


def t5_buckets(length, device):
    distance = torch.arange(length, device=device)[None] - torch.arange(length, device=device)[:, None]
    far = 8 + (torch.log(distance.abs().clamp(min=1).float() / 8) / math.log(16) * 8).long()
    return 16 * (distance > 0) + torch.where(distance.abs() < 8, distance.abs(), far.clamp(max=15))


class T5Encoder(nn.Module):
    def __init__(self, config, vocabulary: int):
        super().__init__()
        self.shared = nn.Embedding(vocabulary, config["d_model"])
        self.encoder = nn.ModuleDict({"block": nn.ModuleList(T5Block(config, j == 0) for j in range(config["num_layers"])),
                                      "final_layer_norm": T5Norm(config["d_model"])})

    def forward(self, ids):
        x = self.shared(ids)
        table = self.encoder["block"][0].layer[0]["SelfAttention"].relative_attention_bias
        bias = table(t5_buckets(ids.shape[1], ids.device)).permute(2, 0, 1)[None]
        for block in self.encoder["block"]:
            x = block(x, bias)
        return self.encoder["final_layer_norm"](x)


# ---------------------------------------------------------------- MMDiT-X


class Mlp(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.net = nn.ModuleList([nn.ModuleDict({"proj": nn.Linear(c, 4 * c)}), nn.Identity(), nn.Linear(4 * c, c)])

    def forward(self, x):
        return self.net[2](F.gelu(self.net[0]["proj"](x), approximate="tanh"))


def zero_linear(c, out):
    layer = nn.Linear(c, out)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def modulate(x, shift, scale):
    with torch.autocast(x.device.type, enabled=False):  # in 16 bits in training, as when drawing: it is read by a product anyway
        return F.layer_norm(x.to(shift.dtype), x.shape[-1:], eps=1e-6) * (1 + scale) + shift


class HeadNorm(nn.RMSNorm):
    """In the type of what it gets: torch has no fast kernel for mixed ones."""

    def forward(self, x):
        return F.rms_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.eps)


class Attention(nn.Module):
    """Joint attention over image and text tokens, or over image tokens alone."""

    def __init__(self, c, heads, joint, last=False):
        super().__init__()
        self.heads, self.joint, self.last = heads, joint, last
        self.to_q, self.to_k, self.to_v = (nn.Linear(c, c) for _ in range(3))
        self.norm_q, self.norm_k = HeadNorm(c // heads, 1e-6), HeadNorm(c // heads, 1e-6)
        self.to_out = nn.ModuleList([nn.Linear(c, c)])
        if joint:
            self.add_q_proj, self.add_k_proj, self.add_v_proj = (nn.Linear(c, c) for _ in range(3))
            self.norm_added_q, self.norm_added_k = HeadNorm(c // heads, 1e-6), HeadNorm(c // heads, 1e-6)
            if not last:
                self.to_add_out = nn.Linear(c, c)

    def heads_of(self, x, *projections):
        """One product for several projections: narrow ones would leave a GPU idle."""
        together = F.linear(x, torch.cat([p.weight for p in projections]), torch.cat([p.bias for p in projections]))
        return together.unflatten(-1, (len(projections), self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)

    def forward(self, x, text=None):
        q, k, v = self.heads_of(x, self.to_q, self.to_k, self.to_v)
        q, k = self.norm_q(q), self.norm_k(k)
        if self.joint and self.last:  # the last block's text is discarded, so nobody asks on its behalf
            text_k, text_v = self.heads_of(text, self.add_k_proj, self.add_v_proj)
        elif self.joint:
            text_q, text_k, text_v = self.heads_of(text, self.add_q_proj, self.add_k_proj, self.add_v_proj)
            q = torch.cat([q, self.norm_added_q(text_q)], 2)
        if self.joint:
            k, v = torch.cat([k, self.norm_added_k(text_k)], 2), torch.cat([v, text_v], 2)
        out = F.scaled_dot_product_attention(q.to(v.dtype), k.to(v.dtype), v).transpose(1, 2).flatten(2)
        image = self.to_out[0](out[:, :x.shape[1]])
        return image, self.to_add_out(out[:, x.shape[1]:]) if self.joint and not self.last else None


class JointBlock(nn.Module):
    def __init__(self, c, heads, dual, last):
        super().__init__()
        self.last, self.dual = last, dual
        self.norm1 = nn.ModuleDict({"linear": zero_linear(c, (9 if dual else 6) * c)})
        self.norm1_context = nn.ModuleDict({"linear": zero_linear(c, (2 if last else 6) * c)})
        self.attn = Attention(c, heads, joint=True, last=last)
        if dual:
            self.attn2 = Attention(c, heads, joint=False)
        self.ff = Mlp(c)
        if not last:
            self.ff_context = Mlp(c)

    def forward(self, x, text, temb):
        m = self.norm1["linear"](temb)[:, None].chunk(9 if self.dual else 6, -1)
        t = self.norm1_context["linear"](temb)[:, None].chunk(2 if self.last else 6, -1)
        shift, scale, gate, shift_ff, scale_ff, gate_ff = m[:6]
        text_in = modulate(text, t[1], t[0]) if self.last else modulate(text, t[0], t[1])
        attended, text_attended = self.attn(modulate(x, shift, scale), text_in)
        if self.dual:
            attended2, _ = self.attn2(modulate(x, m[6], m[7]))
        x = x + gate * attended
        if self.dual:
            x = x + m[8] * attended2
        x = x + gate_ff * self.ff(modulate(x, shift_ff, scale_ff))
        if self.last:
            return x, text
        text = text + t[2] * text_attended
        return x, text + t[5] * self.ff_context(modulate(text, t[3], t[4]))


def position_table(c, side):
    """diffusers' sine-cosine layout, but one unit per token whatever the table's side."""
    omega = 10000 ** -(torch.arange(c // 4).double() / (c // 4))
    angles = torch.arange(side).double()[:, None] * omega
    waves = torch.cat([angles.sin(), angles.cos()], 1)  # [side, c/2]
    columns, rows = waves[None].expand(side, side, -1), waves[:, None].expand(side, side, -1)
    return torch.cat([columns, rows], -1).reshape(1, side * side, c).float()


class Mmdit(nn.Module):
    def __init__(self, config=TRANSFORMER_CONFIG):
        super().__init__()
        heads, z = config["num_attention_heads"], config["in_channels"]
        c = heads * config["attention_head_dim"]
        self.side = config["pos_embed_max_size"]
        self.pos_embed = nn.Module()
        self.pos_embed.proj = nn.Conv2d(z, c, 2, stride=2)
        self.pos_embed.register_buffer("pos_embed", position_table(c, self.side))
        embed = lambda width: nn.ModuleDict({"linear_1": nn.Linear(width, c), "linear_2": nn.Linear(c, c)})
        self.time_text_embed = nn.ModuleDict({"timestep_embedder": embed(256), "text_embedder": embed(config["pooled_projection_dim"])})
        self.context_embedder = nn.Linear(config["joint_attention_dim"], c)
        layers = config["num_layers"]
        self.transformer_blocks = nn.ModuleList(JointBlock(c, heads, i in config["dual_attention_layers"], i == layers - 1) for i in range(layers))
        self.norm_out = nn.ModuleDict({"linear": zero_linear(c, 2 * c)})
        self.proj_out = zero_linear(c, 4 * z)

    def forward(self, latents, timestep, context, pooled, tap=None):
        """latents [B,16,h,w], timestep [B] in 0..1000, context [B,M,joint], pooled [B,P] -> velocity like latents; with tap also
        the image tokens [B,hw/4,C] after that block."""
        b, z, h, w = latents.shape
        h, w = h // 2, w // 2
        x = self.pos_embed.proj(latents).flatten(2).transpose(1, 2)
        top, left = (self.side - h) // 2, (self.side - w) // 2
        table = self.pos_embed.pos_embed.view(self.side, self.side, -1)
        x = x + table[top:top + h, left:left + w].reshape(1, h * w, -1).to(x.dtype)
        frequency = torch.exp(-math.log(10000) * torch.arange(128, device=x.device) / 128)
        angle = timestep.float()[:, None] * frequency
        embed = lambda net, value: net["linear_2"](F.silu(net["linear_1"](value)))
        temb = embed(self.time_text_embed["timestep_embedder"], torch.cat([angle.cos(), angle.sin()], 1))
        temb = F.silu(temb + embed(self.time_text_embed["text_embedder"], pooled))  # every reader applies silu first
        text = self.context_embedder(context)
        for index, block in enumerate(self.transformer_blocks):
            x, text = block(x, text, temb)
            if index == tap:
                tapped = x
        scale, shift = self.norm_out["linear"](temb)[:, None].chunk(2, -1)
        x = self.proj_out(modulate(x, shift, scale))
        velocity = x.view(b, h, w, 2, 2, z).permute(0, 5, 1, 3, 2, 4).reshape(b, z, 2 * h, 2 * w)
        return velocity if tap is None else (velocity, tapped)


# ---------------------------------------------------------------- all that is trained together


class Painter(nn.Module):
    """Text encoders and transformer."""

    def __init__(self, clip_vocabulary: int, t5_vocabulary: int):
        super().__init__()
        self.text_encoder = ClipText(CLIP_L_CONFIG, clip_vocabulary)
        self.text_encoder_2 = ClipText(CLIP_G_CONFIG, clip_vocabulary)
        self.text_encoder_3 = T5Encoder(T5_CONFIG, t5_vocabulary)
        self.transformer = Mmdit()

    def encode(self, clip_ids, clip_2_ids, t5_ids):
        """Token ids -> (context [B,77+256,joint], pooled)."""
        hidden, pooled = self.text_encoder(clip_ids)
        hidden_2, pooled_2 = self.text_encoder_2(clip_2_ids)
        t5 = self.text_encoder_3(t5_ids)
        clip = torch.cat([hidden, hidden_2], -1)
        clip = F.pad(clip, (0, t5.shape[-1] - clip.shape[-1]))
        return torch.cat([clip, t5.to(clip.dtype)], 1), torch.cat([pooled, pooled_2], -1)

    def forward(self, latents, timestep, clip_ids, clip_2_ids, t5_ids, tap=None):
        return self.transformer(latents, timestep, *self.encode(clip_ids, clip_2_ids, t5_ids), tap)
