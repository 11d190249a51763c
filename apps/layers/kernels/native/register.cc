// CPU kernels of TensorFlow's BlockLSTMV2 and BlockLSTMGrad for float32, which take precedence
// over TensorFlow's own in the process that loads this library. Everywhere else the operations
// run on TensorFlow's kernels: a saved graph needs nothing from here.

#include <algorithm>
#include <memory>
#include <mutex>
#include <string>

#include "backward.h"
#include "forward.h"
#include "tensorflow/c/kernels.h"
#include "tensorflow/c/tf_status.h"
#include "tensorflow/c/tf_tensor.h"
#include "workers.h"

// Eigen, which comes with the next header and is not used, does not compile for every processor.
#define EIGEN_DONT_VECTORIZE
#include "tensorflow/core/framework/op_kernel.h"

namespace apps {
namespace {

using Status = std::unique_ptr<TF_Status, decltype(&TF_DeleteStatus)>;

// Reads the inputs of one run and allocates its outputs. The first error is reported; later calls
// then do nothing.
class Run {
 public:
  explicit Run(TF_OpKernelContext* context) : context_(context) {}
  Run(const Run&) = delete;
  ~Run() {
    for (int i = 0; i < count_; ++i) TF_DeleteTensor(tensors_[i]);
    if (!ok()) TF_OpKernelContext_Failure(context_, status_.get());
  }

  bool ok() const { return TF_GetCode(status_.get()) == TF_OK; }

  TF_Tensor* Input(int index, int rank) {
    TF_Tensor* tensor = nullptr;
    if (ok()) TF_GetInput(context_, index, &tensor, status_.get());
    if (!ok()) return nullptr;
    tensors_[count_++] = tensor;
    if (TF_NumDims(tensor) != rank) return Fail(index), nullptr;
    return tensor;
  }

  template <class... Dims>
  const float* Floats(int index, Dims... dims) {
    TF_Tensor* tensor = Input(index, sizeof...(dims));
    if (!ok()) return nullptr;
    const int64_t expected[] = {dims...};
    for (int d = 0; d < static_cast<int>(sizeof...(dims)); ++d)
      if (TF_Dim(tensor, d) != expected[d]) return Fail(index), nullptr;
    return static_cast<const float*>(TF_TensorData(tensor));
  }

  // Whether anything reads an output. TensorFlow's C interface does not tell.
  bool Wanted(int index) const {
    return reinterpret_cast<tensorflow::OpKernelContext*>(context_)->output_required(index);
  }

  template <class... Dims>
  float* Output(int index, Dims... dims) {
    if (!ok()) return nullptr;
    const int64_t shape[] = {dims...};
    size_t size = sizeof(float);
    for (int64_t dim : shape) size *= dim;
    TF_Tensor* tensor = TF_AllocateOutput(context_, index, TF_FLOAT, shape, sizeof...(dims), size,
                                          status_.get());
    if (!ok()) return nullptr;
    tensors_[count_++] = tensor;
    return static_cast<float*>(TF_TensorData(tensor));
  }

 private:
  void Fail(int index) {
    const std::string message = "input " + std::to_string(index) + " has an unexpected shape";
    TF_SetStatus(status_.get(), TF_INVALID_ARGUMENT, message.c_str());
  }

  TF_OpKernelContext* context_;
  Status status_{TF_NewStatus(), TF_DeleteStatus};
  TF_Tensor* tensors_[32];
  int count_ = 0;
};

// Reads the inputs that both operations begin with. Returns the steps that the tensors hold;
// `call.steps` of them are run.
int64_t TakeInputs(Run& run, bool peephole, Call* call) {
  TF_Tensor* const limit = run.Input(0, 0);
  TF_Tensor* const x = run.Input(1, 3);
  TF_Tensor* const h0 = run.Input(3, 2);
  if (!run.ok()) return 0;
  const int64_t steps = TF_Dim(x, 0), units = TF_Dim(h0, 1);
  call->steps = std::clamp<int64_t>(*static_cast<int64_t*>(TF_TensorData(limit)), 0, steps);
  call->batch = TF_Dim(x, 1);
  call->features = TF_Dim(x, 2);
  call->units = units;
  call->x = run.Floats(1, steps, call->batch, call->features);
  call->c0 = run.Floats(2, call->batch, units);
  call->h0 = run.Floats(3, call->batch, units);
  call->w = run.Floats(4, call->features + units, 4 * units);
  call->wci = peephole ? run.Floats(5, units) : nullptr;
  call->wcf = peephole ? run.Floats(6, units) : nullptr;
  call->wco = peephole ? run.Floats(7, units) : nullptr;
  call->b = run.Floats(8, 4 * units);
  return steps;
}

struct Attributes {
  bool peephole;
  float cell_clip;
};

void* Create(TF_OpKernelConstruction* construction) {
  Status status(TF_NewStatus(), TF_DeleteStatus);
  unsigned char peephole = 0;
  float cell_clip = 0;
  TF_OpKernelConstruction_GetAttrBool(construction, "use_peephole", &peephole, status.get());
  if (TF_OpKernelConstruction_HasAttr(construction, "cell_clip", status.get()))
    TF_OpKernelConstruction_GetAttrFloat(construction, "cell_clip", &cell_clip, status.get());
  return new Attributes{peephole != 0, cell_clip};
}

void Delete(void* kernel) { delete static_cast<Attributes*>(kernel); }

void ComputeForward(void* kernel, TF_OpKernelContext* context) {
  const auto& attributes = *static_cast<Attributes*>(kernel);
  Run run(context);
  Call call{};
  const int64_t steps = TakeInputs(run, attributes.peephole, &call);
  float** const outputs[] = {&call.i, &call.cs, &call.f, &call.o, &call.ci, &call.co, &call.h};
  const bool gates = run.Wanted(0) || run.Wanted(2) || run.Wanted(3) || run.Wanted(4);
  const bool wanted[] = {gates, run.Wanted(1), gates, gates, gates, run.Wanted(5), true};
  for (int index = 0; index < 7; ++index) {
    if (!wanted[index]) continue;
    float* const values = run.Output(index, steps, call.batch, call.units);
    if (!run.ok()) return;
    const int64_t step = call.batch * call.units;
    std::fill(values + call.steps * step, values + steps * step, 0.0f);
    *outputs[index] = values;
  }
  std::lock_guard<std::mutex> lock(shared->running);
  Forward(call, attributes.cell_clip);
}

void ComputeBackward(void* kernel, TF_OpKernelContext* context) {
  const auto& attributes = *static_cast<Attributes*>(kernel);
  Run run(context);
  Gradient call{};
  const int64_t steps = TakeInputs(run, attributes.peephole, &call);
  const int64_t batch = call.batch, features = call.features, units = call.units;
  float** const values[] = {&call.i, &call.cs, &call.f, &call.o, &call.ci, &call.co, &call.h};
  call.gate_period = call.cell_period = std::max<int64_t>(call.steps, 1);
  for (int index = 0; index < 7; ++index)  // written in the forward pass, only read here
    *values[index] = const_cast<float*>(run.Floats(9 + index, steps, batch, units));
  call.cs_grad = run.Floats(16, steps, batch, units);
  call.h_grad = run.Floats(17, steps, batch, units);
  call.x_grad = run.Output(0, steps, batch, features);
  call.c0_grad = run.Output(1, batch, units);
  call.h0_grad = run.Output(2, batch, units);
  call.w_grad = run.Output(3, features + units, 4 * units);
  call.wci_grad = run.Output(4, units);
  call.wcf_grad = run.Output(5, units);
  call.wco_grad = run.Output(6, units);
  call.b_grad = run.Output(7, 4 * units);
  if (!run.ok()) return;
  const int64_t step = batch * features;
  std::fill(call.x_grad + call.steps * step, call.x_grad + steps * step, 0.0f);
  for (float* peephole : {call.wci_grad, call.wcf_grad, call.wco_grad})
    std::fill(peephole, peephole + units, 0.0f);
  std::lock_guard<std::mutex> lock(shared->running);
  Backward(call);
}

}  // namespace
}  // namespace apps

// Registers the kernels, to run on `threads` threads. Returns whether TensorFlow took them.
extern "C" bool RegisterLstmKernels(int threads) {
  apps::shared = new apps::Shared(std::max(threads, 1));
  apps::Status status(TF_NewStatus(), TF_DeleteStatus);
  const auto add = [&](const char* op, void (*compute)(void*, TF_OpKernelContext*)) {
    TF_KernelBuilder* const builder =
        TF_NewKernelBuilder(op, "CPU", apps::Create, compute, apps::Delete);
    TF_KernelBuilder_TypeConstraint(builder, "T", TF_FLOAT, status.get());
    TF_KernelBuilder_Priority(builder, 1);
    if (TF_GetCode(status.get()) == TF_OK) TF_RegisterKernelBuilder(op, builder, status.get());
    return TF_GetCode(status.get()) == TF_OK;
  };
  return add("BlockLSTMV2", apps::ComputeForward) && add("BlockLSTMGrad", apps::ComputeBackward);
}
