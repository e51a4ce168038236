// Draws a picture through the C interface and writes it as a PNG that holds its request. Every option of a request goes by
// name.
//
//   draw MODEL FILE.png NAME=VALUE …      draw model out.png "prompt=a red bicycle" seed=7 steps=20
//
// In a program of your own: find_package(fude), then link fude::c; or cc draw.c -lfude.
#include <fude/c.h>
#include <stdio.h>
#include <string.h>

static void show(void* user, const fude_progress* at) {
  (void)user;
  fprintf(stderr, "%-8s %3lld/%lld\r", at->stage, (long long)at->step, (long long)at->steps);
}

static void warn(void* user, const char* text, const char* json) {
  (void)user, (void)json;
  fprintf(stderr, "warning: %s\n", text);
}

// The request that the arguments name, or NULL.
static fude_request* request_from(int count, char** arguments, fude_error** error) {
  fude_request* request = NULL;
  if (fude_request_new(&request, error)) return NULL;
  for (int i = 0; i < count; ++i) {
    char* value = strchr(arguments[i], '=');
    if (value) *value++ = '\0';
    if (fude_request_set(request, arguments[i], value ? value : "", error)) {
      fude_request_free(request);
      return NULL;
    }
  }
  return request;
}

int main(int argc, char** argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: draw MODEL FILE.png NAME=VALUE ...\n");
    return 2;
  }
  fude_error* error = NULL;
  fude_options* options = NULL;
  fude_engine* engine = NULL;
  fude_result* result = NULL;
  const fude_callbacks callbacks = {.size = sizeof callbacks, .progress = show, .warning = warn};

  fude_request* request = request_from(argc - 3, argv + 3, &error);
  const fude_request* const requests[] = {request};
  if (request && !fude_options_new(&options, &error) && !fude_options_set(options, "model", argv[1], &error) &&
      !fude_engine_new(options, &engine, &error) && !fude_engine_generate(engine, requests, 1, &callbacks, &result, &error) &&
      !fude_image_save_png(fude_result_image(result, 0), argv[2], &error))
    printf("%s\n", fude_result_json(result));

  const fude_code code = fude_error_code(error);
  if (code) fprintf(stderr, "%s%s%s\n", fude_error_field(error), *fude_error_field(error) ? ": " : "", fude_error_text(error));
  fude_error_free(error);
  fude_result_free(result);
  fude_engine_free(engine);
  fude_options_free(options);
  fude_request_free(request);
  return code ? 1 : 0;
}
