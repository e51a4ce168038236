// Small pictures on one large one, with their numbers or the values of their axes, and what they were drawn from.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "fude/fude.h"
#include "gallery/arrangement.h"
#include "gallery/cell.h"

namespace fude {

// Everything but the pictures is drawn at once, and a picture when it comes; so asking for the sheet after each of them is
// cheap.
class ContactSheet {
 public:
  // `warning` hears once of characters that no installed font has, and which package brings them. Error{bad_request} when there
  // are too many pictures for one sheet.
  explicit ContactSheet(const Arrangement& arrangement, const std::function<void(const std::string&)>& warning = {});
  ~ContactSheet();
  ContactSheet(ContactSheet&&) noexcept;
  ContactSheet& operator=(ContactSheet&&) noexcept;

  // Draws the picture into its cell. The caption is its seed and its choices without axes, else how long it took.
  void add(const Cell& cell, const Image& picture);

  // The sheet so far; missing pictures are empty frames.
  Image render() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fude
