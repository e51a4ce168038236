// What an Engine is opened with: the model's files, and the machine. Paths and names are UTF-8.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fude/log.h"

namespace fude {

// Where the weights are. An empty string means: inside `model`.
struct ModelFiles {
  // Diffusers folder, a single .safetensors or a folder with one; an id in the Hugging Face cache such as "stabilityai/…", or
  // its page's address.
  std::string model;
  std::string clip_l;  // separate component files, as ComfyUI keeps them, or component folders
  std::string clip_g;
  std::string t5;
  std::string vae;
  std::string tokenizers;  // a folder with tokenizer, tokenizer_2, tokenizer_3 (or clip, t5)
  bool no_t5 = false;      // leave T5 out, as diffusers does with text_encoder_3=None
  std::string hub_cache;   // root of the Hugging Face cache (…/hub); empty: ids are not looked up
};

struct EngineOptions {
  std::string device = "auto";  // auto, cpu, cuda, cuda:1
  std::string dtype = "auto";   // auto, f32, bf16, f16
  int threads = 0;              // 0: the cores
  // Bytes this process may take, everything included: of the card with what the driver and libraries keep there, and of the
  // host's memory. 0: what is free.
  int64_t vram = 0, ram = 0;
  // Folders where embeddings of prompts are kept, so that a prompt is encoded once: read from all, written to each.
  std::vector<std::string> embeddings;
  // File where the rates of this machine are kept, measured once in about a second; empty: pictures are not predicted, and each
  // engine that is asked for a plan measures.
  std::string calibration;
  // A card that is not here, for Engine::plan only: card_names(). Its rates are published ones times what kernels reach
  // elsewhere.
  std::string card;
  Log log;  // empty: nothing is told
};

}  // namespace fude
