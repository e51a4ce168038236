// Embeddings of prompts that were encoded before: in memory, and in folders that outlive the process.
#pragma once

#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <vector>

#include "core/ops.h"
#include "engine/text_encoders.h"

namespace fude {

// TextEmbeddings on the host.
struct HostEmbeddings {
  DType dtype = DType::f32;
  std::vector<int64_t> tokens_shape, pooled_shape;
  std::vector<std::byte> tokens, pooled;
};

HostEmbeddings download(Ops& op, const TextEmbeddings& embeddings);
TextEmbeddings upload(Ops& op, const HostEmbeddings& embeddings);

// Each prompt is kept by itself, under how many were encoded with it: products of another height make other bytes, but what the
// other rows hold does not matter. So a prompt that was drawn with one negative prompt is at hand for another.
class KeptEmbeddings {
 public:
  // `encoders` tells apart whose embeddings they are (weights, device and its library). Folders are read in order and all
  // written to; the pictures go on when that fails. A token's embedding has `columns`, a prompt's summary `pooled`.
  KeptEmbeddings(const std::string& encoders, std::vector<std::string> folders, int64_t columns, int64_t pooled);

  void made_by(const std::string& encoders) { encoders_ = encoders; }  // from now on
  void keep_in(const std::string& folder) { folders_.push_back(folder); }
  void forget() {  // what is in memory
    recent_.clear();
    together_ = {};
  }

  // Of all prompts; null when one is missing. Valid until the next call.
  const HostEmbeddings* find(const TokenIds& ids, DType dtype);
  // Empty, or why some folder could not be written: that costs time at the next run, not this picture.
  std::string keep(const TokenIds& ids, const HostEmbeddings& embeddings);

 private:
  struct Entry {  // of one prompt
    std::string key;
    HostEmbeddings embeddings;
  };
  std::string key(const TokenIds& ids, size_t prompt, DType dtype) const;
  bool fits(const HostEmbeddings& embeddings, int64_t tokens, DType dtype) const;
  const HostEmbeddings* find(const std::string& key, int64_t tokens, DType dtype);
  const HostEmbeddings* remember(std::string key, HostEmbeddings embeddings);

  std::string encoders_;
  std::vector<std::string> folders_;
  int64_t columns_, pooled_;
  std::list<Entry> recent_;  // the latest first
  HostEmbeddings together_;  // what was found last
};

}  // namespace fude
