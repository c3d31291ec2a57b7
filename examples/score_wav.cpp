// Score WAV files with an exported ONNX file, in C++17 with ONNX Runtime:
//
//   g++ -std=c++17 -O2 score_wav.cpp -o score_wav -I$ORT/include -L$ORT/lib -lonnxruntime
//   LD_LIBRARY_PATH=$ORT/lib ./score_wav model.onnx clip.wav ...
//
// Prints a line a file: score (higher = more bona fide), log-likelihood ratio where the file has
// one, and what the threshold in it says. The exit status is 2 where a file could not be scored.

#include <onnxruntime_cxx_api.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

struct About {  // what the file says of itself
  int64_t sample_rate_hz, num_samples, hop_samples;
  bool pads_with_zeros;
  std::string aggregate;     // "first", "mean", "trimmed" or "max_spoof"
  std::string threshold_of;  // "" = there is none
  double threshold;
  std::string speech_output;  // seconds of speech in each row; "" = there is no such output
  double needed_speech_s, needed_speech_share;
};

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot be read");
  return {std::istreambuf_iterator<char>(file), {}};
}

// Returns what follows `"key": ` in a JSON text, without quotes; "" where there is no such key.
std::string json_value(const std::string& text, const std::string& key) {
  const std::string name = "\"" + key + "\": ";
  const size_t at = text.find(name);
  if (at == std::string::npos) return "";
  const size_t start = at + name.size();
  if (text[start] == '"') return text.substr(start + 1, text.find('"', start + 1) - start - 1);
  return text.substr(start, text.find_first_of(",}", start) - start);
}

About about(const Ort::Session& session) {
  Ort::AllocatorWithDefaultOptions allocator;
  const Ort::ModelMetadata metadata = session.GetModelMetadata();
  const auto field = [&](const char* name) {
    const auto value = metadata.LookupCustomMetadataMapAllocated(name, allocator);
    if (!value) throw std::runtime_error(std::string("has no metadata of the name ") + name);
    return std::string(value.get());
  };
  const std::string longer = field("longer"), threshold = field("threshold");
  // Files of older versions have no field of that name.
  const auto noted = metadata.LookupCustomMetadataMapAllocated("speech", allocator);
  const std::string speech = noted ? noted.get() : "";
  const bool finds_speech = json_value(speech, "output") == "speech_s";
  const std::string hop = json_value(longer, "hop_samples"), of = json_value(threshold, "of");
  return {std::stoll(field("sample_rate_hz")),
          std::stoll(field("num_samples")),
          hop.empty() ? 1 : std::stoll(hop),
          field("pad") == "zero",
          json_value(longer, "aggregate"),
          of,
          of.empty() ? 0.0 : std::stod(json_value(threshold, "value")),
          finds_speech ? json_value(speech, "output") : "",
          finds_speech ? std::stod(json_value(speech, "needed_s")) : 0.0,
          finds_speech ? std::stod(json_value(speech, "needed_share")) : 0.0};
}

uint32_t little_endian(const char* bytes, int width) {
  uint32_t value = 0;
  for (int i = width; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

// Returns the average of all channels, full scale = 1.
std::vector<float> read_wav(const std::string& path, int64_t sample_rate_hz) {
  const std::string file = read_file(path);
  if (file.size() < 12 || file.compare(0, 4, "RIFF") || file.compare(8, 4, "WAVE"))
    throw std::runtime_error("no WAV file");
  std::string format, data;
  for (size_t at = 12; at + 8 <= file.size();) {
    const size_t size = little_endian(&file[at + 4], 4);
    if (!file.compare(at, 4, "fmt ")) format = file.substr(at + 8, size);
    if (!file.compare(at, 4, "data")) data = file.substr(at + 8, size);
    at += 8 + size + size % 2;
  }
  if (format.size() < 16) throw std::runtime_error("a WAV file without a format");
  uint32_t coding = little_endian(&format[0], 2);
  if (coding == 0xfffe && format.size() >= 26) coding = little_endian(&format[24], 2);
  const int channels = little_endian(&format[2], 2), bits = little_endian(&format[14], 2);
  const int64_t rate = little_endian(&format[4], 4);
  if (rate != sample_rate_hz)
    throw std::runtime_error(std::to_string(rate) + " Hz; the network takes " +
                             std::to_string(sample_rate_hz) + " Hz: resample it first");
  const bool is_float = coding == 3 && bits == 32;
  const bool is_pcm = coding == 1 && bits % 8 == 0 && bits >= 8 && bits <= 32;
  if (channels < 1 || !(is_float || is_pcm))
    throw std::runtime_error("samples of format " + std::to_string(coding) + " and " +
                             std::to_string(bits) + " bits are not known here");
  const int width = bits / 8;
  const auto sample = [&](const char* bytes) {
    const uint32_t value = little_endian(bytes, width) << (32 - bits);  // in the upper bytes
    if (is_float) {
      float number;
      std::memcpy(&number, &value, sizeof number);
      return static_cast<double>(number);
    }
    const uint32_t signed_value = width == 1 ? value ^ 0x80000000u : value;
    return static_cast<int32_t>(signed_value) / 2147483648.0;
  };
  std::vector<float> waveform(data.size() / (width * channels));
  if (waveform.empty()) throw std::runtime_error("there is no sample in it");
  for (size_t i = 0; i < waveform.size(); ++i) {
    double sum = 0;
    for (int c = 0; c < channels; ++c) sum += sample(&data[(i * channels + c) * width]);
    waveform[i] = static_cast<float>(sum / channels);
  }
  return waveform;
}

// Returns one value for a recording from those of its windows.
double aggregate(std::vector<double> values, const std::string& how) {
  std::sort(values.begin(), values.end());
  if (how == "max_spoof") return values.front();
  const size_t cut = how == "trimmed" ? values.size() / 5 : 0;
  return std::accumulate(values.begin() + cut, values.end() - cut, 0.0) /
         static_cast<double>(values.size() - 2 * cut);
}

// Returns which rows hold enough speech.
std::vector<bool> with_speech(const float* seconds, int64_t num_rows, int64_t own,
                              const About& about) {
  const double needed = std::min(about.needed_speech_s,
                                 about.needed_speech_share * own / about.sample_rate_hz);
  std::vector<bool> enough;
  for (int64_t row = 0; row < num_rows; ++row) enough.push_back(seconds[row] >= needed);
  if (std::find(enough.begin(), enough.end(), true) == enough.end()) {
    char said[80];
    std::snprintf(said, sizeof said, "cannot judge: no speech: %.2f s; it must be %.2g s",
                  *std::max_element(seconds, seconds + num_rows), needed);
    throw std::runtime_error(said);
  }
  return enough;
}

// Returns the outputs for a recording by name: of its beginning, or of windows over it.
std::map<std::string, double> score(Ort::Session& session, const About& about,
                                    const std::vector<float>& waveform) {
  const int64_t size = waveform.size(), length = about.num_samples;
  const int64_t last = std::max<int64_t>(size - length, 0), own = std::min(size, length);
  std::vector<int64_t> starts;
  if (about.aggregate != "first")
    for (int64_t start = 0; start < last; start += about.hop_samples) starts.push_back(start);
  starts.push_back(about.aggregate == "first" ? 0 : last);
  const int64_t num_rows = starts.size();
  std::vector<float> rows(num_rows * length, 0.0f);
  for (int64_t row = 0; row < num_rows; ++row)
    for (int64_t i = 0; i < (about.pads_with_zeros ? own : length); ++i)
      rows[row * length + i] = waveform[starts[row] + i % own];
  std::vector<int32_t> num_samples(num_rows, static_cast<int32_t>(own));

  const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  const int64_t shape[] = {num_rows, length};
  std::vector<Ort::Value> inputs;
  inputs.push_back(Ort::Value::CreateTensor(memory, rows.data(), rows.size(), shape, 2));
  if (session.GetInputCount() > 1)
    inputs.push_back(
        Ort::Value::CreateTensor(memory, num_samples.data(), num_samples.size(), shape, 1));
  const char* input_names[] = {"waveform", "num_samples"};
  std::vector<std::string> names;
  std::vector<const char*> output_names;
  Ort::AllocatorWithDefaultOptions allocator;
  for (size_t i = 0; i < session.GetOutputCount(); ++i)
    names.push_back(session.GetOutputNameAllocated(i, allocator).get());
  for (const std::string& name : names) output_names.push_back(name.c_str());
  const auto outputs = session.Run({}, input_names, inputs.data(), inputs.size(),
                                   output_names.data(), output_names.size());
  std::vector<bool> is_judged(num_rows, true);
  for (size_t i = 0; i < outputs.size(); ++i)
    if (names[i] == about.speech_output)
      is_judged = with_speech(outputs[i].GetTensorData<float>(), num_rows, own, about);
  std::map<std::string, double> found;
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (names[i] == about.speech_output) continue;
    const float* values = outputs[i].GetTensorData<float>();
    std::vector<double> kept;
    for (int64_t row = 0; row < num_rows; ++row)
      if (is_judged[row]) kept.push_back(values[row]);
    found[names[i]] = aggregate(kept, about.aggregate);
  }
  return found;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: score_wav MODEL.onnx CLIP.wav ...\n");
    return 2;
  }
  setenv("ORT_DISABLE_TELEMETRY", "1", 1);
  try {
    Ort::Env environment(ORT_LOGGING_LEVEL_WARNING);
    environment.DisableTelemetryEvents();
    const std::string model = read_file(argv[1]);
    // From memory, so that it cannot refer to other files.
    Ort::Session session(environment, model.data(), model.size(), Ort::SessionOptions());
    const About known = about(session);
    int status = 0;
    for (int i = 2; i < argc; ++i) {
      try {
        auto found = score(session, known, read_wav(argv[i], known.sample_rate_hz));
        std::printf("%s: score %.6f", argv[i], found["score"]);
        if (found.count("llr")) std::printf("  llr %.6f", found["llr"]);
        const std::string& of = known.threshold_of;
        const char* verdict = of.empty()                        ? "no threshold"
                              : found[of] >= known.threshold    ? "bonafide"
                                                                : "spoof";
        std::printf("  %s\n", verdict);
      } catch (const std::exception& error) {
        std::fprintf(stderr, "%s: %s\n", argv[i], error.what());
        status = 2;
      }
    }
    return status;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", argv[1], error.what());
    return 2;
  }
}
