package org.lvtmobile.app

import org.lvtmobile.core.Artifact
import org.lvtmobile.core.EntryPoints
import org.lvtmobile.core.Manifest
import org.lvtmobile.core.PartsInfo
import org.lvtmobile.core.Session
import org.lvtmobile.core.Tensor
import org.lvtmobile.core.UserError
import org.lvtmobile.core.firstLine
import org.tensorflow.lite.DataType
import org.tensorflow.lite.Interpreter
import java.nio.Buffer
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.FloatBuffer

/** A file with the whole model. Closes [resources] in order. */
internal class LiteRtSession(
    private val function: LiteRtFunction,
    private val input: String,
    private val resources: List<AutoCloseable>,
) : Session {
    override fun run(image: Tensor): Map<String, Tensor> = function.call(mapOf(input to image))

    override fun close() = resources.forEach(AutoCloseable::close)
}

/** A file with a signature for each entry point. Closes [resources] in order. */
internal class LiteRtEntryPoints(
    interpreter: Interpreter,
    artifact: Artifact,
    parts: PartsInfo,
    private val resources: List<AutoCloseable>,
) : EntryPoints {
    private val functions = parts.entryPoints.associate { entry ->
        val signatures = interpreter.signatureKeys.toSet()
        if (entry.name !in signatures) {
            throw UserError("${artifact.file.name} has signatures $signatures, but no ${entry.name}; export it again")
        }
        val name = "${entry.name} of ${artifact.file.name}"
        entry.name to LiteRtFunction(interpreter, entry.name, name, entry.inputs, entry.outputs)
    }

    override fun call(name: String, inputs: Map<String, Tensor>): Map<String, Tensor> =
        functions.getValue(name).call(inputs)

    override fun close() = resources.forEach(AutoCloseable::close)
}

/**
 * A signature of a loaded file. Allocates the input and output buffers once and reuses them.
 *
 * @param name the function in error messages.
 * @throws UserError inputs or outputs are not the declared ones.
 */
internal class LiteRtFunction(
    private val interpreter: Interpreter,
    private val signature: String,
    private val name: String,
    inputs: List<Manifest.TensorInfo>,
    outputs: List<Manifest.TensorInfo>,
) {
    private val inputs: List<Input>
    private val outputs: Map<String, Output>
    private val inputBuffers: Map<String, Any>
    private val outputBuffers: Map<String, Any>

    private class Input(val key: String, val info: Manifest.TensorInfo, val bytes: ByteBuffer)

    private class Output(val type: DataType, val bytes: ByteBuffer, val copy: Tensor)

    init {
        val names = interpreter.getSignatureOutputs(signature).toSet()
        val declared = outputs.map { it.name }.toSet()
        if (names != declared) {
            throw UserError("$name has outputs $names, but its manifest declares $declared; export it again")
        }
        this.inputs = inputs.map { Input(inputKey(it, inputs.size), it, allocate(it.shape)) }
        this.inputs.forEach(::requireShape)
        this.outputs = outputs.associate { it.name to allocateOutput(it) }
        inputBuffers = this.inputs.associate { it.key to it.bytes }
        outputBuffers = this.outputs.mapValues { it.value.bytes }
    }

    /** The signature's name of an input; a single input may have any. */
    private fun inputKey(info: Manifest.TensorInfo, count: Int): String {
        val keys = interpreter.getSignatureInputs(signature).toList()
        val key = if (count == 1) keys.singleOrNull() else keys.find { it == info.name }
        if (key == null || keys.size != count) {
            throw UserError("$name has inputs $keys, but its manifest declares ${info.name} of $count; export it again")
        }
        return key
    }

    private fun requireShape(input: Input) {
        val tensor = interpreter.getInputTensorFromSignature(input.key, signature)
        if (tensor.dataType() != DataType.FLOAT32 || tensor.shape().toList() != input.info.shape) {
            throw UserError(
                "$name expects ${tensor.dataType()} ${tensor.shape().toList()}, but its manifest " +
                    "declares float32 ${input.info.shape}; export it again",
            )
        }
    }

    private fun allocateOutput(info: Manifest.TensorInfo): Output {
        val tensor = interpreter.getOutputTensorFromSignature(info.name, signature)
        val type = tensor.dataType()
        if (type != DataType.FLOAT32 && type != DataType.INT32) {
            throw UserError("output ${info.name} of $name has type $type; float32 or int32 is expected")
        }
        val shape = tensor.shape().toList()
        if (shape != info.shape) {
            throw UserError(
                "output ${info.name} of $name has shape $shape, but its manifest declares ${info.shape}; " +
                    "export it again",
            )
        }
        return Output(type, allocate(shape), Tensor(shape, FloatArray(shape.fold(1, Int::times))))
    }

    /**
     * Calls the function.
     *
     * @param values by name; the image is (1, 3, H, W).
     * @return the outputs by name. The next call overwrites them.
     * @throws UserError LiteRT cannot run the file.
     */
    fun call(values: Map<String, Tensor>): Map<String, Tensor> {
        for (input in inputs) write(values.getValue(input.info.name), input)
        outputs.values.forEach { rewind(it.bytes) }
        try {
            interpreter.runSignature(inputBuffers, outputBuffers, signature)
        } catch (error: IllegalArgumentException) {
            throw UserError("LiteRT cannot run $name: ${error.firstLine()}", error)
        } catch (error: IllegalStateException) {
            throw UserError("LiteRT cannot run $name: ${error.firstLine()}", error)
        }
        return outputs.mapValues { (_, output) -> read(output) }
    }

    private fun write(values: Tensor, input: Input) {
        val target = input.bytes.asFloatBuffer()
        // An image is the only input of its function. All other values have the layout of the file already.
        val isImage = inputs.size == 1 && input.info.layout == "NHWC"
        if (isImage) putNhwc(values, target) else target.put(values.values)
    }

    private fun read(output: Output): Tensor {
        rewind(output.bytes)
        val values = output.copy.values
        if (output.type == DataType.FLOAT32) {
            output.bytes.asFloatBuffer().get(values)
        } else {
            val integers = output.bytes.asIntBuffer()
            for (i in values.indices) values[i] = integers.get(i).toFloat()
        }
        return output.copy
    }
}

/** Calls [Buffer.rewind]: before Android 10, the subclasses do not override it. */
private fun rewind(buffer: Buffer) {
    buffer.rewind()
}

/** Allocates a direct buffer for 4-byte values of a shape. */
private fun allocate(shape: List<Int>): ByteBuffer =
    ByteBuffer.allocateDirect(Float.SIZE_BYTES * shape.fold(1, Int::times)).order(ByteOrder.nativeOrder())

/** Converts an image (1, 3, H, W) to (1, H, W, 3). */
internal fun putNhwc(image: Tensor, target: FloatBuffer) {
    val channels = image.shape[1]
    val area = image.shape[2] * image.shape[3]
    for (pixel in 0 until area) {
        for (c in 0 until channels) target.put(image.values[c * area + pixel])
    }
}
