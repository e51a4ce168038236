// The mathematics of each sampler: from sigmas to evaluations. Latents are x = (1 − sigma)·picture + sigma·noise, and the
// model's velocity is v = noise − picture, so the straight way to the picture is dx/dsigma = v.
#pragma once

#include <vector>

#include "diffusion/evaluation.h"

namespace fude {

using Evaluations = std::vector<Evaluation>;

// One straight piece a step (diffusers' FlowMatchEulerDiscreteScheduler).
Evaluations euler(Sigmas sigmas);
// The mean of the velocities at both ends of a step: two evaluations, but one in the last (FlowMatchHeunDiscreteScheduler).
Evaluations heun(Sigmas sigmas);
// Further down than the step goes, and back up with fresh noise (ComfyUI's sample_euler_ancestral_RF, eta 1).
Evaluations euler_ancestral(Sigmas sigmas);
// Each step begins anew from what the model takes for the picture, with fresh noise (FlowMatchLCMScheduler).
Evaluations lcm(Sigmas sigmas);

// Lu et al. 2022, "DPM-Solver++", of second order with two steps' answers, and its stochastic variant (diffusers'
// DPMSolverMultistepScheduler, midpoint, dpmsolver++ and sde-dpmsolver++, with flow sigmas).
Evaluations dpmpp_2m(Sigmas sigmas);
Evaluations dpmpp_2m_sde(Sigmas sigmas);
// Zhang et al. 2023, "Improved Order Analysis and Design of Exponential Integrator for Diffusion Models Sampling", multistep,
// in −log sigma (ComfyUI's sample_res_multistep).
Evaluations res_multistep(Sigmas sigmas);
// Zhao et al. 2023, "UniPC", bh2, of second order, with its corrector (diffusers' UniPCMultistepScheduler).
Evaluations uni_pc(Sigmas sigmas);
// Zhang and Chen 2022, "Fast Sampling of Diffusion Models with Exponential Integrator", of second order in log rho (diffusers'
// DEISMultistepScheduler).
Evaluations deis(Sigmas sigmas);
// Cui et al. 2023, "Elucidating the solution space of extended reverse-time SDE for diffusion models", of third order
// (ComfyUI's sample_er_sde).
Evaluations er_sde(Sigmas sigmas);

}  // namespace fude
