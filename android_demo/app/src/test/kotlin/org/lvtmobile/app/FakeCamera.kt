package org.lvtmobile.app

import android.view.Surface
import org.lvtmobile.core.Picture
import org.lvtmobile.core.Size
import java.io.File
import java.nio.ByteBuffer
import java.util.concurrent.Executors
import java.util.concurrent.TimeUnit
import javax.imageio.ImageIO

/**
 * A camera whose sensor is mounted like that of most phones, sideways. A test gives it upright pictures; it turns them,
 * converts them to YUV as a sensor delivers them, and sends them on the road of [CameraSource].
 */
class FakeCamera(private val listener: FrameSource.Listener) : FrameSource {
    private val thread = Executors.newSingleThreadExecutor { Thread(it, "fake camera") }
    private val yuv = YuvBuffer()
    private val frame = Frame()

    /** Size of the network, if the camera runs; null if it does not. */
    @Volatile var running: Size? = null
        private set

    @Volatile override var displayRotation: Int = 0

    /** The surface for the preview. */
    @Volatile var surface: Surface? = null
        private set

    override fun start(network: Size) {
        running = network
    }

    override fun stop() {
        running = null
    }

    override fun showPreview(surface: Surface?) {
        this.surface = surface
    }

    override fun close() {
        running = null
        thread.shutdown()
    }

    /** Delivers what a person with the phone sees; waits until the listener has it. */
    fun deliver(upright: Picture) = onThread {
        val rotation = uprightRotation(SENSOR_ORIENTATION, displayRotation, facingFront = false)
        val sensor = upright.rotatedLeft(rotation)
        write(sensor)
        yuv.toFrame(rotation, frame)
        listener.onFrame(frame)
    }

    fun fail(problem: CameraProblem) = onThread { listener.onError(problem) }

    fun offerPreview(size: Size?) = onThread { listener.onPreviewSize(size) }

    private fun onThread(action: () -> Unit) = thread.submit(action).get(60, TimeUnit.SECONDS)

    private fun Picture.rotatedLeft(degrees: Int): Picture = upright(mapOf(0 to 1, 90 to 8, 180 to 3, 270 to 6).getValue(degrees))

    private fun write(picture: Picture) {
        val (height, width) = picture.size
        fun channel(x: Int, y: Int, c: Int) = (picture.rgb[3 * (y * width + x) + c].toInt() and 0xff).toDouble()
        val luma = ByteBuffer.allocate(width * height)
        val chroma = List(2) { ByteBuffer.allocate((width + 1) / 2 * ((height + 1) / 2)) }
        for (y in 0 until height) {
            for (x in 0 until width) {
                val (r, g, b) = List(3) { channel(x, y, it) }
                luma.put(byte(0.299 * r + 0.587 * g + 0.114 * b))
                if (x % 2 != 0 || y % 2 != 0) continue
                chroma[0].put(byte(128 - 0.168736 * r - 0.331264 * g + 0.5 * b))
                chroma[1].put(byte(128 + 0.5 * r - 0.418688 * g - 0.081312 * b))
            }
        }
        yuv.begin(picture.size)
        listOf(luma, chroma[0], chroma[1]).forEachIndexed { index, plane ->
            plane.flip()
            yuv.copyPlane(index, plane, if (index == 0) width else (width + 1) / 2, 1)
        }
    }

    private fun byte(value: Double) = value.coerceIn(0.0, 255.0).toInt().toByte()

    companion object {
        const val SENSOR_ORIENTATION = 90
    }
}

/** A generated scene of the test resources. */
internal fun scene(name: String): Picture {
    val url = checkNotNull(FakeCamera::class.java.getResource("/scenes/$name.jpg"))
    return readPicture(File(url.toURI()))
}

internal fun readPicture(file: File): Picture {
    val image = ImageIO.read(file)
    val rgb = ByteArray(3 * image.width * image.height)
    for (i in 0 until image.width * image.height) {
        val pixel = image.getRGB(i % image.width, i / image.width)
        for (c in 0..2) rgb[3 * i + c] = (pixel shr (16 - 8 * c)).toByte()
    }
    return Picture(Size(image.height, image.width), rgb)
}

/** A part of a picture: what a camera sees that moves over it. */
internal fun Picture.crop(left: Int, top: Int, size: Size): Picture {
    val part = ByteArray(3 * size.area)
    for (y in 0 until size.height) {
        val start = 3 * ((top + y) * this.size.width + left)
        rgb.copyInto(part, 3 * y * size.width, start, start + 3 * size.width)
    }
    return Picture(size, part)
}
