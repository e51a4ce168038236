// fude draws pictures with Stable Diffusion 3.5. This header is the whole public API, by subject: what to draw (request), with
// what (options, devices), drawing (engine, callbacks, log), what comes of it (image, plan, embeddings, png), how fast (bench).
//
//   fude::Engine engine({.model = "path/to/stable-diffusion-3.5-medium"});
//   fude::Result result = engine.generate({.prompt = "a capybara in a hot spring", .seed = 7});
//   fude::save_png("capybara.png", result.images[0]);
//
// Every failure is a fude::Error. Strings and paths are UTF-8. Nothing here prints, reads the environment or exits.
//
// Threads: functions that belong to no class may be called from any thread at any time, and so may Engines that are different
// objects. What may be called of one Engine at the same time is said there. Structs are values without locks.
#pragma once

#include "fude/bench.h"
#include "fude/callbacks.h"
#include "fude/devices.h"
#include "fude/embeddings.h"
#include "fude/engine.h"
#include "fude/error.h"
#include "fude/image.h"
#include "fude/log.h"
#include "fude/options.h"
#include "fude/plan.h"
#include "fude/png.h"
#include "fude/request.h"
#include "fude/version.h"
