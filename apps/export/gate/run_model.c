/* Loads a SavedModel through TensorFlow's C API and runs requests read from a file.

   run_model VERSION REQUESTS ANSWERS

   Both files hold integers in the machine's byte order. A text is a 64-bit length and its bytes. A
   tensor is a 32-bit type, a 32-bit rank, 64-bit dimensions, and its bytes as one text, or one text
   for each element where the type is string. REQUESTS is a 32-bit count of requests; a request is
   a 32-bit count of feeds (operation, 32-bit index, tensor) and a 32-bit count of fetches
   (operation, 32-bit index). ANSWERS holds for each request a 32-bit TF_Code, a message, and, where
   the code is TF_OK, a tensor for each fetch.

   Exit status: 0 all requests were run, 2 the model was not loaded (stderr says why), 3 a
   file could not be read or written. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tensorflow/c/c_api.h>
#include <tensorflow/c/tf_tstring.h>

static void give_up(const char* what) {
  fprintf(stderr, "%s\n", what);
  exit(3);
}

static void* allocate(size_t count, size_t size) {
  void* memory = calloc(count ? count : 1, size);
  if (!memory) give_up("out of memory");
  return memory;
}

static void read_bytes(FILE* file, void* bytes, size_t size) {
  if (fread(bytes, 1, size, file) != size) give_up("the requests end too early");
}

static void write_bytes(FILE* file, const void* bytes, size_t size) {
  if (fwrite(bytes, 1, size, file) != size) give_up("the answers cannot be written");
}

static int32_t read_int32(FILE* file) {
  int32_t value;
  read_bytes(file, &value, sizeof value);
  return value;
}

static int64_t read_int64(FILE* file) {
  int64_t value;
  read_bytes(file, &value, sizeof value);
  return value;
}

static void write_int32(FILE* file, int32_t value) { write_bytes(file, &value, sizeof value); }

static void write_text(FILE* file, const char* bytes, size_t size) {
  int64_t length = (int64_t)size;
  write_bytes(file, &length, sizeof length);
  write_bytes(file, bytes, size);
}

/* A zero byte follows the text; *size does not count it. */
static char* read_text(FILE* file, size_t* size) {
  *size = (size_t)read_int64(file);
  char* bytes = allocate(*size + 1, 1);
  read_bytes(file, bytes, *size);
  return bytes;
}

static int64_t elements(const TF_Tensor* tensor) {
  int64_t count = 1;
  for (int axis = 0; axis < TF_NumDims(tensor); ++axis) count *= TF_Dim(tensor, axis);
  return count;
}

static TF_Tensor* read_tensor(FILE* file) {
  TF_DataType type = (TF_DataType)read_int32(file);
  int rank = read_int32(file);
  int64_t* dims = allocate((size_t)rank, sizeof *dims);
  int64_t count = 1;
  for (int axis = 0; axis < rank; ++axis) count *= dims[axis] = read_int64(file);
  size_t width = type == TF_STRING ? sizeof(TF_TString) : TF_DataTypeSize(type);
  TF_Tensor* tensor = TF_AllocateTensor(type, dims, rank, (size_t)count * width);
  free(dims);
  if (type != TF_STRING) {
    if ((size_t)read_int64(file) != TF_TensorByteSize(tensor)) give_up("a tensor of a wrong size");
    read_bytes(file, TF_TensorData(tensor), TF_TensorByteSize(tensor));
    return tensor;
  }
  TF_TString* texts = TF_TensorData(tensor);
  for (int64_t i = 0; i < count; ++i) {
    size_t size;
    char* bytes = read_text(file, &size);
    TF_StringInit(&texts[i]);
    TF_StringCopy(&texts[i], bytes, size);
    free(bytes);
  }
  return tensor;
}

static void write_tensor(FILE* file, const TF_Tensor* tensor) {
  write_int32(file, TF_TensorType(tensor));
  write_int32(file, TF_NumDims(tensor));
  for (int axis = 0; axis < TF_NumDims(tensor); ++axis) {
    int64_t dim = TF_Dim(tensor, axis);
    write_bytes(file, &dim, sizeof dim);
  }
  if (TF_TensorType(tensor) != TF_STRING) {
    write_text(file, TF_TensorData(tensor), TF_TensorByteSize(tensor));
    return;
  }
  const TF_TString* texts = TF_TensorData(tensor);
  for (int64_t i = 0; i < elements(tensor); ++i)
    write_text(file, TF_StringGetDataPointer(&texts[i]), TF_StringGetSize(&texts[i]));
}

static void delete_tensor(TF_Tensor* tensor) {
  if (TF_TensorType(tensor) == TF_STRING) {
    TF_TString* texts = TF_TensorData(tensor);
    for (int64_t i = 0; i < elements(tensor); ++i) TF_StringDealloc(&texts[i]);
  }
  TF_DeleteTensor(tensor);
}

static TF_Output read_output(FILE* file, TF_Graph* graph) {
  size_t size;
  char* name = read_text(file, &size);
  TF_Output output = {TF_GraphOperationByName(graph, name), read_int32(file)};
  if (!output.oper) {
    fprintf(stderr, "the graph has no operation %s\n", name);
    exit(2);
  }
  free(name);
  return output;
}

static void answer(TF_Session* session, TF_Graph* graph, FILE* requests, FILE* answers) {
  int fed = read_int32(requests);
  TF_Output* inputs = allocate((size_t)fed, sizeof *inputs);
  TF_Tensor** feeds = allocate((size_t)fed, sizeof *feeds);
  for (int i = 0; i < fed; ++i) {
    inputs[i] = read_output(requests, graph);
    feeds[i] = read_tensor(requests);
  }
  int fetched = read_int32(requests);
  TF_Output* outputs = allocate((size_t)fetched, sizeof *outputs);
  TF_Tensor** fetches = allocate((size_t)fetched, sizeof *fetches);
  for (int i = 0; i < fetched; ++i) outputs[i] = read_output(requests, graph);

  TF_Status* status = TF_NewStatus();
  TF_SessionRun(session, NULL, inputs, feeds, fed, outputs, fetches, fetched, NULL, 0, NULL,
                status);
  write_int32(answers, TF_GetCode(status));
  write_text(answers, TF_Message(status), strlen(TF_Message(status)));
  for (int i = 0; i < fetched && TF_GetCode(status) == TF_OK; ++i) {
    write_tensor(answers, fetches[i]);
    delete_tensor(fetches[i]);
  }
  for (int i = 0; i < fed; ++i) delete_tensor(feeds[i]);
  TF_DeleteStatus(status);
  free(inputs);
  free(feeds);
  free(outputs);
  free(fetches);
}

int main(int argc, char** argv) {
  if (argc != 4) give_up("usage: run_model VERSION REQUESTS ANSWERS");
  FILE* requests = fopen(argv[2], "rb");
  FILE* answers = fopen(argv[3], "wb");
  if (!requests || !answers) give_up("the requests or the answers cannot be opened");

  TF_Status* status = TF_NewStatus();
  TF_Graph* graph = TF_NewGraph();
  TF_SessionOptions* options = TF_NewSessionOptions();
  const char* tags[] = {"serve"};
  TF_Session* session = TF_LoadSessionFromSavedModel(options, NULL, argv[1], tags, 1, graph, NULL,
                                                     status);
  if (TF_GetCode(status) != TF_OK) {
    fprintf(stderr, "%s\n", TF_Message(status));
    return 2;
  }
  int32_t count = read_int32(requests);
  for (int32_t i = 0; i < count; ++i) answer(session, graph, requests, answers);
  if (fclose(answers)) give_up("the answers cannot be written");
  TF_CloseSession(session, status);
  TF_DeleteSession(session, status);
  TF_DeleteSessionOptions(options);
  TF_DeleteGraph(graph);
  TF_DeleteStatus(status);
  return 0;
}
