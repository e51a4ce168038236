#!/usr/bin/env python3
"""Writes tests/fixtures/samplers.json: what each sampler makes of known velocities, step by step, and the sigmas of each schedule.

There is no model: pictures are normal numbers with a mean and a deviation of their own for each element, whose velocity is known.
Where diffusers has a scheduler, that is stepped, on our sigmas; the others are the published formulas in numpy, as ComfyUI computes
them. Noise between steps goes on with the generator that drew the first latents.
"""

import json
import math
from pathlib import Path

import numpy
import torch
from diffusers import (
    DEISMultistepScheduler,
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    FlowMatchHeunDiscreteScheduler,
    FlowMatchLCMScheduler,
    UniPCMultistepScheduler,
)

OUT = Path(__file__).resolve().parent.parent / "tests" / "fixtures" / "samplers.json"
N, SEED, DEVIATION, SHIFT, STEPS = 16, 3, 0.5, 3.0, 8
MEAN = torch.arange(N, dtype=torch.float32) * 0.25 - 2
TRAIN = 1000
FLOW = dict(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=SHIFT)


def velocity(x, sigma):
    """The mean of noise − picture for latents x = (1 − sigma)·picture + sigma·noise."""
    sigma = float(sigma)
    kept = 1 - sigma
    variance = kept**2 * DEVIATION**2 + sigma**2
    return (-MEAN.double() + (sigma - kept * DEVIATION**2) / variance * (x.double() - kept * MEAN.double())).float()


def own_sigmas(steps, **options):
    scheduler = FlowMatchEulerDiscreteScheduler(num_train_timesteps=TRAIN, shift=SHIFT, **options)
    scheduler.set_timesteps(steps)
    return scheduler.sigmas


# ---- diffusers ----------------------------------------------------------------------------------------------------------------


def stepped(scheduler, sigmas, generator, start):
    """The scheduler's own arithmetic on our sigmas."""
    steps = len(sigmas) - 1
    scheduler.set_timesteps(steps)
    scheduler.sigmas, scheduler.timesteps = sigmas.clone(), torch.arange(steps, dtype=torch.float32)
    scheduler.set_begin_index(0)
    x, latents = start, []
    for i in range(steps):
        options = {} if isinstance(scheduler, UniPCMultistepScheduler | DEISMultistepScheduler) else {"generator": generator}
        x = scheduler.step(velocity(x, sigmas[i]), scheduler.timesteps[i], x, **options).prev_sample
        latents.append(x)
    return latents


def heun(sigmas, generator, start):
    scheduler = FlowMatchHeunDiscreteScheduler(num_train_timesteps=TRAIN, shift=SHIFT)
    steps = len(sigmas) - 1
    scheduler.set_timesteps(steps)
    asked = torch.cat([sigmas[:1], sigmas[1:-1].repeat_interleave(2)])
    scheduler.sigmas, scheduler.timesteps = torch.cat([asked, sigmas[-1:]]), torch.arange(len(asked), dtype=torch.float32)
    scheduler.set_begin_index(0)
    x, latents = start, []
    for i, sigma in enumerate(asked):
        x = scheduler.step(velocity(x, sigma), scheduler.timesteps[i], x).prev_sample
        if i % 2 == 1 or i + 1 == len(asked):
            latents.append(x)
    return latents


def deis(sigmas, generator, start):
    """Its last step divides 0 by 0 where sigmas end at 0, as ours do: the first order is what is left then."""
    latents = stepped(DEISMultistepScheduler(solver_order=2, **FLOW), sigmas, generator, start)
    last = latents[-2]
    return latents[:-1] + [last - sigmas[-2] * velocity(last, sigmas[-2])]


# ---- published formulas -------------------------------------------------------------------------------------------------------


def formulas(step):
    """step(i, sigmas, x, denoised, memory, noise) in f64."""

    def run(sigmas, generator, start):
        sigmas, x, memory, latents = sigmas.double().numpy(), start.double().numpy(), {}, []
        for i in range(len(sigmas) - 1):
            denoised = x - sigmas[i] * velocity(torch.from_numpy(x), sigmas[i]).double().numpy()
            noise = lambda: torch.randn(1, N, generator=generator).double().numpy()
            x = step(i, sigmas, x, denoised, memory, noise)
            latents.append(torch.from_numpy(x).float())
        return latents

    return run


def euler_ancestral(i, sigmas, x, denoised, memory, noise):
    s, t = sigmas[i], sigmas[i + 1]
    if t == 0:
        return denoised
    down = t * (1 + (t / s - 1))
    renoise = (t**2 - down**2 * (1 - t) ** 2 / (1 - down) ** 2) ** 0.5
    x = down / s * x + (1 - down / s) * denoised
    return (1 - t) / (1 - down) * x + noise() * renoise


def res_multistep(i, sigmas, x, denoised, memory, noise):
    s, t, old = sigmas[i], sigmas[i + 1], memory.get("denoised")
    memory["denoised"] = denoised
    if t == 0 or old is None:
        return x + (x - denoised) / s * (t - s)
    now, after, before = -math.log(s), -math.log(t), -math.log(sigmas[i - 1])
    h = after - now
    c2 = (before - now) / h
    phi1 = math.expm1(-h) / -h
    phi2 = (phi1 - 1) / -h
    return math.exp(-h) * x + h * ((phi1 - phi2 / c2) * denoised + phi2 / c2 * old)


def er_sde(i, sigmas, x, denoised, memory, noise):
    scale = lambda value: value * (numpy.exp(value**0.3) + 10)
    lambdas = [s / (1 - s) for s in sigmas]
    old, old_d = memory.get("denoised"), memory.get("denoised_d")
    memory["denoised"] = denoised
    if sigmas[i + 1] == 0:
        return denoised
    s, t = lambdas[i], lambdas[i + 1]
    alpha_s, alpha = 1 - sigmas[i], 1 - sigmas[i + 1]
    r = scale(t) / scale(s)
    x = alpha / alpha_s * r * x + alpha * (1 - r) * denoised
    if i >= 1:
        dt = t - s
        width = -dt / 200
        positions = t + numpy.arange(200) * width
        denoised_d = (denoised - old) / (s - lambdas[i - 1])
        x = x + alpha * (dt + (1 / scale(positions)).sum() * width * scale(t)) * denoised_d
        if i >= 2:
            moment = ((positions - s) / scale(positions)).sum() * width
            x = x + alpha * (dt**2 / 2 + moment * scale(t)) * (denoised_d - old_d) / ((s - lambdas[i - 2]) / 2)
        memory["denoised_d"] = denoised_d
    return x + alpha * noise() * max(t**2 - s**2 * r**2, 0) ** 0.5


def dpm(algorithm):
    return lambda *given: stepped(DPMSolverMultistepScheduler(algorithm_type=algorithm, solver_order=2, **FLOW), *given)


# Whether the formulas hold at sigma 1, where a schedule begins: else only what comes after it is drawn.
SAMPLERS = {
    "euler": (lambda *given: stepped(FlowMatchEulerDiscreteScheduler(shift=SHIFT), *given), True),
    "euler_ancestral": (formulas(euler_ancestral), True),
    "heun": (heun, True),
    "dpmpp_2m": (dpm("dpmsolver++"), True),
    "dpmpp_2m_sde": (dpm("sde-dpmsolver++"), True),
    "uni_pc": (lambda *given: stepped(UniPCMultistepScheduler(solver_order=2, **FLOW), *given), False),
    "deis": (deis, False),
    "er_sde": (formulas(er_sde), False),
    "lcm": (lambda *given: stepped(FlowMatchLCMScheduler(shift=SHIFT), *given), True),
    "res_multistep": (formulas(res_multistep), True),
}


def drawn(sampler, sigmas):
    generator = torch.Generator().manual_seed(SEED)
    latents = SAMPLERS[sampler][0](sigmas, generator, torch.randn(1, N, generator=generator))
    assert all(x.isfinite().all() for x in latents), sampler
    return {"sampler": sampler, "sigmas": sigmas.tolist(), "latents": [x.flatten().tolist() for x in latents]}


# ---- schedules ----------------------------------------------------------------------------------------------------------------


def shifted(t):
    return SHIFT * t / (1 + (SHIFT - 1) * t)


def simple(steps):
    table = [shifted(k / TRAIN) for k in range(1, TRAIN + 1)]
    return [table[-(1 + int(i * (TRAIN / steps)))] for i in range(steps)] + [0.0]


def normal(steps):
    return [shifted(t / TRAIN) for t in numpy.linspace(TRAIN, shifted(1 / TRAIN) * TRAIN, steps)] + [0.0]


def sgm_uniform(steps):
    return [shifted(t / TRAIN) for t in numpy.linspace(TRAIN, shifted(1 / TRAIN) * TRAIN, steps + 1)[:-1]] + [0.0]


def linear_quadratic(steps, threshold=0.025):
    if steps == 1:
        return [1.0, 0.0]
    linear_steps = steps // 2
    even = [i * threshold / linear_steps for i in range(linear_steps)]
    difference, rest = linear_steps - threshold * steps, steps - linear_steps
    square = difference / (linear_steps * rest**2)
    linear = threshold / linear_steps - 2 * difference / rest**2
    return [1 - x for x in even + [square * i**2 + linear * i + square * linear_steps**2 for i in range(linear_steps, steps)] + [1.0]]


SCHEDULES = {
    "checkpoint": own_sigmas,
    "simple": simple,
    "normal": normal,
    "sgm_uniform": sgm_uniform,
    "beta": lambda steps: own_sigmas(steps, use_beta_sigmas=True),
    "karras": lambda steps: own_sigmas(steps, use_karras_sigmas=True),
    "exponential": lambda steps: own_sigmas(steps, use_exponential_sigmas=True),
    "linear_quadratic": linear_quadratic,
}


def main():
    whole = own_sigmas(STEPS)
    cases = []
    for sampler, (_, from_noise) in SAMPLERS.items():
        if from_noise:
            cases.append(drawn(sampler, whole))
        cases.append(drawn(sampler, whole[1:]))
    schedules = [
        {"schedule": name, "steps": steps, "sigmas": [float(sigma) for sigma in sigmas(steps)]}
        for name, sigmas in SCHEDULES.items()
        for steps in (2, 5, 28)
    ]
    lines = lambda rows: "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]"
    head = {"seed": SEED, "mean": MEAN.tolist(), "deviation": DEVIATION, "shift": SHIFT}
    OUT.write_text(json.dumps(head)[:-1] + f',\n"cases": {lines(cases)},\n"schedules": {lines(schedules)}}}\n')


if __name__ == "__main__":
    main()
