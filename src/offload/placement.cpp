// Trying candidates from the fastest to the smallest.
#include "offload/placement.h"

#include <algorithm>
#include <limits>

namespace fude {

namespace {

// From the fastest to the one that takes the least memory.
constexpr DecodePlan kDecodePlans[] = {{1, false}, {4, false}, {16, false}, {8, true}, {32, true}};

// As many of the transformer's blocks as fit into `room`. An even number of others are streamed, so that in two slots the first
// of a step can be prefetched while the last is used.
int64_t most_blocks(const Choice& choice, int64_t room) {
  const int64_t step = choice.on_host ? 1 : 2;
  Residency blocks = choice.blocks;
  for (int64_t most = blocks.size() - step; most > 0; most -= step) {
    blocks.keep(most);
    if (blocks.bytes_at(Home::device) <= room) return most;
  }
  return 0;
}

}  // namespace

// What is left out first costs least: the encoders are needed once a prompt, the decoder once a picture, blocks at each step.
// Decoding in strips costs little time, and as little again where its intermediates go to the host and back.
std::optional<Placement> choose_placement(const Choice& choice, const Bytes& room) {
  int64_t all_blocks = std::numeric_limits<int64_t>::max();
  // Offloaded weights take what the pictures leave of the host's memory.
  Bytes needed;  // with the placement that was tried last
  const auto possible = [&](Placement wanted) -> std::optional<Placement> {
    needed = choice.needed_with(wanted);
    if (wanted.blocks == choice.blocks.size()) all_blocks = std::min(all_blocks, device_bytes(choice.on_host, needed));
    if (!fits(needed, room)) return {};
    wanted.host_bytes = room.host - needed.host;
    return wanted;
  };
  // On the host the files already keep the encoders at hand.
  if (!choice.on_host)
    if (const auto found = possible({.text = true, .blocks = choice.blocks.size()})) return found;
  for (const DecodePlan& decode : kDecodePlans)
    for (const bool vae_stays : {true, false})
      if (const auto found = possible({.vae = vae_stays, .blocks = choice.blocks.size(), .decode = decode})) return found;
  std::optional<Placement> best;
  for (const DecodePlan& decode : kDecodePlans) {
    std::optional<Placement> found = possible({.vae = false, .decode = decode});
    if (!found) continue;
    Bytes free = room;
    found->blocks = most_blocks(choice, device_bytes(choice.on_host, free) - device_bytes(choice.on_host, needed));
    found->all_blocks = all_blocks;
    if (!best || found->blocks > best->blocks) best = found;
  }
  return best;
}

}  // namespace fude
